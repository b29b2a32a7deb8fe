/**
 * Puts one fault into the core of this process: to be called before anything imports `src/raft`,
 * which then is imported dynamically. Nothing on disk changes.
 */
import { registerHooks } from "node:module";
import { mutationNamed } from "./faults/index.ts";
import { mutated } from "./mutation.ts";

const CORE = new URL("../../src/raft/", import.meta.url).href;

/** Throws if there is no such mutation; loading the core throws if its text is not found once. */
export function install(id: string): void {
  const mutation = mutationNamed(id);
  registerHooks({
    load: (url, context, next) => {
      const loaded = next(url, context);
      if (url !== `${CORE}${mutation.file}` || loaded.source == null) return loaded;
      const source =
        typeof loaded.source === "string" ? loaded.source : new TextDecoder().decode(loaded.source);
      return { ...loaded, source: mutated(source, mutation) };
    },
  });
}
