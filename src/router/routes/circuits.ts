/** What can be proved, and checking a proof against our keys without any task. */
import { z } from "zod";
import { type CircuitView, proofCheck } from "../../api/cluster.ts";
import { type Problem, problem } from "../../api/problem.ts";
import { validate } from "../../api/validation.ts";
import { type Circuit, circuitsOf } from "../../proofs/index.ts";
import { readJson } from "../body.ts";
import { answer, type Handled, type RequestContext, type Route } from "../context.ts";
import * as declared from "../declarations/circuits.ts";
import { tooBusy } from "../gate.ts";
import { verify } from "../verification.ts";

function render(circuit: Circuit): CircuitView {
  const { name, circuit_type, description, vk_hash, setup, signals, input } = circuit;
  const input_schema = z.toJSONSchema(input, { io: "input", unrepresentable: "any" });
  return { name, circuit_type, description, vk_hash, setup, statement: [...signals], input_schema };
}

function unknown(name: string): Problem {
  return problem("circuit-unknown", `there is no circuit ${name}; GET /api/v1/circuits lists them`);
}

function list(context: RequestContext): Handled {
  return answer(context, 200, { items: [...circuitsOf(context.configuration).values()].map(render) });
}

function get(context: RequestContext): Handled {
  const name = context.params.circuit ?? "";
  const circuit = circuitsOf(context.configuration).get(name);
  if (circuit === undefined) return unknown(name);
  return answer(context, 200, { ...render(circuit), verifying_key: circuit.verifying_key });
}

/** Says only that the proof proves these public inputs; what they mean is for whoever asks. */
async function check(context: RequestContext): Promise<Handled> {
  const body = await readJson(context.request);
  if (!body.ok) return body.problem;
  const request = validate(proofCheck, body.value);
  if (!request.ok) return request.problem;
  const circuit = circuitsOf(context.configuration).get(request.value.circuit);
  if (circuit === undefined) return unknown(request.value.circuit);
  const { proof, public_inputs } = request.value;
  const signals = { given: public_inputs, expected: public_inputs };
  const verified = await verify(circuit, proof, signals, context.cluster.deadline);
  return verified.type === "too-busy" ? tooBusy("verifications") : answer(context, 200, verified.value);
}

export const circuitRoutes: readonly Route[] = [
  { method: "GET", path: "/api/v1/circuits", access: "any", declares: declared.listCircuits, handle: list },
  {
    method: "GET",
    path: "/api/v1/circuits/:circuit",
    access: "any",
    declares: declared.getCircuit,
    handle: get,
  },
  {
    method: "POST",
    path: "/api/v1/proofs/verify",
    access: "any",
    declares: declared.verifyProof,
    handle: check,
  },
];
