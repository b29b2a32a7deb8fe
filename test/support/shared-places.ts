/** Ids of tasks that share rows. */
import { placeOf } from "../../src/replica/places.ts";

/** So many groups of three that have one place each, all made in the same millisecond. */
export function idsThatShare(groups: number): readonly (readonly [string, string, string])[] {
  const byPlace = new Map<string, string[]>();
  const found: (readonly [string, string, string])[] = [];
  for (let nth = 0; found.length < groups; nth++) {
    const id = `019a20c7-e9b0-7abc-8def-${nth.toString(16).padStart(12, "0")}`;
    const place = placeOf("tasks", id);
    const [first, second] = byPlace.get(place) ?? [];
    if (first === undefined) byPlace.set(place, [id]);
    else if (second === undefined) byPlace.get(place)?.push(id);
    else found.push([first, second, id]);
  }
  return found;
}
