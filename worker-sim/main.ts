/** The command line of a local Troika. What goes wrong is one sentence and an exit code; a stack trace is a defect. */
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { readArguments, USAGE } from "./arguments.ts";
import { Problem, UsageProblem } from "./cluster/problem.ts";

const root = fileURLToPath(new URL("..", import.meta.url)).replace(/\/$/, "");

function stateRoot(given: string | undefined): string {
  return given === undefined ? join(root, ".troika") : resolve(given);
}

async function main(argv: readonly string[]): Promise<void> {
  const invocation = readArguments(argv);
  switch (invocation.type) {
    case "help":
      console.log(USAGE);
      return;
    case "start": {
      const begun = Date.now();
      const [{ start }, { createTerminal }] = await Promise.all([
        import("./cluster/start.ts"),
        import("./cluster/terminal.ts"),
      ]);
      await start({ root, stateRoot: stateRoot(invocation.state), ...invocation }, createTerminal(begun));
      return;
    }
    case "pool": {
      const { runPool } = await import("./pool/run.ts");
      await runPool(process.env);
      return;
    }
    case "status": {
      const { showStatus } = await import("./commands/status.ts");
      await showStatus(stateRoot(invocation.state), invocation);
      return;
    }
    case "fault": {
      const { setFault } = await import("./commands/fault.ts");
      await setFault(stateRoot(invocation.state), invocation);
      return;
    }
    case "submit":
    case "watch": {
      const { submit, watch } = await import("./commands/submit.ts");
      if (invocation.type === "submit") await submit(stateRoot(invocation.state), invocation);
      else await watch(stateRoot(invocation.state), invocation);
      return;
    }
    case "tasks":
    case "workers":
    case "cluster":
    case "events": {
      const { showList } = await import("./commands/lists.ts");
      await showList(stateRoot(invocation.state), invocation);
      return;
    }
    case "smoke": {
      const { smoke } = await import("./commands/smoke.ts");
      await smoke(invocation);
      return;
    }
    case "token": {
      const { makeToken } = await import("./commands/token.ts");
      makeToken(invocation);
      return;
    }
    case "deploy": {
      const { deploy } = await import("./commands/deploy.ts");
      await deploy({ root, args: invocation.args });
      return;
    }
    case "logs": {
      const { showLogs } = await import("./commands/logs.ts");
      await showLogs(stateRoot(invocation.state), invocation);
      return;
    }
  }
}

try {
  await main(process.argv.slice(2));
  process.exitCode = 0;
} catch (error) {
  if (!(error instanceof Problem)) throw error;
  console.error(`troika: ${error.message}`);
  if (error instanceof UsageProblem) console.error(`\n${USAGE}`);
  process.exitCode = error.exitCode;
}
