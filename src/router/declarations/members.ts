/** What the routes of the members say of themselves. */
import {
  checkpointsTaken,
  clusterView,
  leaderTransfer,
  leaderTransferred,
  memberAddition,
  memberChanged,
} from "../../api/members.ts";
import { type Declaration, READ_PROBLEMS, WRITE_PROBLEMS } from "../declaration.ts";

const CHANGE_PROBLEMS = ["change-in-progress", "transfer-failed", ...WRITE_PROBLEMS] as const;

export const getCluster: Declaration = {
  id: "getCluster",
  tag: "Cluster",
  summary: "Who takes part in the group, and what may fail",
  details:
    "As the leader sees it, or one replica on its own routes. A follower hears its leader alone: what it cannot know is null.",
  answers: {
    200: {
      is: "Members with role, region, match index and last contact; leader, quorum, warnings.",
      body: clusterView,
    },
  },
  problems: READ_PROBLEMS,
};

export const addMember: Declaration = {
  id: "addMember",
  tag: "Cluster",
  summary: "Take a replica in as a learner",
  details:
    "It receives the log and does not vote until it is promoted. A name whose replica has lost its storage may be added again: the new one's promotion removes the old one. A replica that was removed begins anew.",
  body: memberAddition,
  answers: { 201: { is: "It is a learner.", body: memberChanged } },
  problems: ["member-exists", "member-of-another-group", ...CHANGE_PROBLEMS],
};

export const promoteMember: Declaration = {
  id: "promoteMember",
  tag: "Cluster",
  summary: "Give a learner a vote",
  details: "Refused while it has not caught up with the log. An even number of voters is a warning.",
  answers: { 200: { is: "It votes.", body: memberChanged } },
  problems: ["member-unknown", "learner-behind", ...CHANGE_PROBLEMS],
};

export const removeMember: Declaration = {
  id: "removeMember",
  tag: "Cluster",
  summary: "Remove a member",
  details:
    "It accepts nothing more, may finish for up to 30 s what it has begun, and hands leadership over if it leads. Refused unless a majority of the rest can be reached and holds everything committed. What it had stored is deleted.",
  answers: { 200: { is: "It takes part no longer. A repeat gives the same answer.", body: memberChanged } },
  problems: ["member-unknown", "removal-unsafe", ...CHANGE_PROBLEMS],
};

export const transferLeadership: Declaration = {
  id: "transferLeadership",
  tag: "Cluster",
  summary: "Hand leadership over",
  body: leaderTransfer,
  answers: { 200: { is: "Who leads now.", body: leaderTransferred } },
  problems: ["member-unknown", "not-a-voter", "learner-behind", ...CHANGE_PROBLEMS],
};

export const takeCheckpoints: Declaration = {
  id: "takeCheckpoints",
  tag: "Cluster",
  summary: "Have every replica write a checkpoint now",
  details:
    "On a replica's own routes that one alone. They write checkpoints by themselves as often as is needed; by hand it is of use before maintenance. Behind a checkpoint the log is cut, but for a tail. A replica that does not answer stands in the list with its problem.",
  answers: { 200: { is: "At least one did.", body: checkpointsTaken } },
  problems: READ_PROBLEMS,
};
