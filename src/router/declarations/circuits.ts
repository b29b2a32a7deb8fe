/** What the routes of circuits say of themselves. */
import { circuitAnswer, circuitList, proofCheck, verdict } from "../../api/cluster.ts";
import type { Declaration } from "../declaration.ts";

export const listCircuits: Declaration = {
  id: "listCircuits",
  tag: "Circuits",
  summary: "What can be proved",
  answers: { 200: { is: "All circuits.", body: circuitList } },
};

export const getCircuit: Declaration = {
  id: "getCircuit",
  tag: "Circuits",
  summary: "A circuit with its verifying key",
  answers: { 200: { is: "The circuit.", body: circuitAnswer } },
  problems: ["circuit-unknown"],
};

export const verifyProof: Declaration = {
  id: "verifyProof",
  tag: "Circuits",
  summary: "Check a proof without any task",
  details: "Says only that the proof proves these public inputs; what they mean is for whoever asks.",
  body: proofCheck,
  answers: { 200: { is: "The verdict.", body: verdict } },
  problems: ["circuit-unknown", "overloaded"],
};
