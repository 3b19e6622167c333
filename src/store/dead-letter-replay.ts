import { stateConflict } from "../domain/control.js";
import type { DeadLetterFilter } from "../domain/dead-letter.js";
import { newId } from "../domain/digest.js";
import type { RunState } from "../domain/run.js";
import type { Caller } from "../domain/tenant.js";
import { AssayError } from "../errors.js";
import { type LockedExperiment, relock } from "./closing.js";
import { type KeyedRequest, takeKey } from "./idempotency.js";
import { tryAgain } from "./retry.js";
import { statement, type Transaction } from "./transaction.js";
import { idsIn, waveBase, wavesUnder } from "./waves.js";

/** So many dead letters are dealt with at once, the oldest first. */
export const LETTERS_MAX = 1_000;

/** Which dead letters are replayed or purged: those that are named, or those of the project that match. */
export interface LetterChoice {
  readonly ids: readonly string[] | null;
  readonly filter: DeadLetterFilter;
}

// A key that may not control others' experiments matches only its own, and the other way round.
const choose = statement(
  "dead-letter-choose",
  `select d.id, d.run_id as "runId", d.experiment_id as "experimentId", r.state, d.replayed_at is not null as replayed,
          (r.epoch = d.epoch and r.superseded_by is null) as latest, e.cancel_requested_at is not null as cancelled
   from dead_letter d
   join run r on r.tenant_id = d.tenant_id and r.id = d.run_id
   join experiment e on e.tenant_id = d.tenant_id and e.id = d.experiment_id
   where d.tenant_id = $1 and e.project_id = $2 and ($3::uuid[] is null or d.id = any($3::uuid[]))
     and ($4::uuid is null or d.experiment_id = $4) and ($5::text is null or d.reason = $5) and ($6::text is null or d.error_code = $6)
     and ($7::timestamptz is null or d.at < $7) and ($8::boolean is null or (d.replayed_at is not null) = $8)
     and ($9::boolean is null or (d.purged_at is not null) = $9)
     and case when e.created_by = $10 then $11::boolean else $12::boolean end
     and (not $13::boolean or (d.replayed_at is null and r.state = 'DEAD' and r.epoch = d.epoch and r.superseded_by is null
                               and e.cancel_requested_at is null))
   order by d.at, d.id limit $14`,
);

interface ChosenLetter {
  readonly id: string;
  readonly runId: string;
  readonly experimentId: string;
  readonly state: RunState;
  readonly replayed: boolean;
  /** Whether the run has not been tried since. */
  readonly latest: boolean;
  readonly cancelled: boolean;
}

function chosen(tx: Transaction, caller: Caller, choice: LetterChoice & { waiting: boolean }): Promise<ChosenLetter[]> {
  const { ids, filter, waiting } = choice;
  const { experimentId = null, reason = null, code = null, diedBefore = null, replayed = null, purged = null } = filter;
  const { tenantId, projectId, keyId, scopes } = caller;
  return tx.rows<ChosenLetter>(choose, [
    tenantId,
    projectId,
    ids,
    experimentId,
    reason,
    code,
    diedBefore,
    replayed,
    purged,
    keyId,
    scopes.includes("SUBMIT"),
    scopes.includes("CANCEL_ANY"),
    waiting,
    LETTERS_MAX,
  ]);
}

/** The dead letters that a replay of this choice would try again. Throws STATE_CONFLICT for a named one that cannot be. */
export async function replayable(tx: Transaction, caller: Caller, choice: LetterChoice): Promise<string[]> {
  return (await waitingLetters(tx, caller, choice)).map((letter) => letter.id);
}

async function waitingLetters(tx: Transaction, caller: Caller, choice: LetterChoice): Promise<ChosenLetter[]> {
  const letters = await chosen(tx, caller, { ...choice, waiting: choice.ids === null });
  for (const [i, id] of (choice.ids ?? []).entries()) {
    const letter = letters.find((found) => found.id === id);
    const state = letter === undefined ? "UNKNOWN" : stateOfLetter(letter);
    if (state === "DEAD") continue;
    throw stateConflict({ wanted: "the run of a dead letter to be", path: ["input", "ids", String(i)] }, state, [
      "DEAD",
    ]);
  }
  return letters;
}

function stateOfLetter({ state, replayed, latest, cancelled }: ChosenLetter): string {
  if (cancelled) return "CANCELLED";
  return replayed || !latest ? "REPLAYED" : state;
}

/** What was answered to a replay. */
export interface Replayed {
  readonly letterIds: readonly string[];
  /** Whether the key was seen before; nothing was done then. */
  readonly replayed: boolean;
}

/**
 * Tries the runs of dead letters again, as a retry does, under the ids that they have. Throws STATE_CONFLICT where none can be,
 * and IDEMPOTENCY_CONFLICT.
 */
export async function replayLetters(tx: Transaction, request: KeyedRequest, choice: LetterChoice): Promise<Replayed> {
  const { caller } = request;
  const id = newId();
  const earlier = await takeKey(tx, request, id);
  if (earlier !== null) {
    const waves = await wavesUnder(tx, caller.tenantId, earlier);
    return { letterIds: waves.flatMap(({ body }) => idsIn(body, "letterIds")), replayed: true };
  }
  const byExperiment = Map.groupBy(await waitingLetters(tx, caller, choice), (letter) => letter.experimentId);
  const done: string[] = [];
  // In one order everywhere, so that two replays cannot wait for each other; and all of them before the first wave, which locks
  // the tenant's quota, as other waves lock their experiment before it too.
  const locked: LockedExperiment[] = [];
  for (const experimentId of [...byExperiment.keys()].sort()) {
    locked.push(await relock(tx, { tenantId: caller.tenantId, experimentId }));
  }
  for (const experiment of locked) {
    const letters = byExperiment.get(experiment.experimentId) ?? [];
    const base = await waveBase(tx, experiment);
    // Whatever happened before the lock was there: a cancel, a retry.
    const dead = new Set(
      base.runs.flatMap((run) => (run.state === "DEAD" && run.supersededBy === null ? [run.id] : [])),
    );
    const still = experiment.cancelRequestedAt === null ? letters.filter(({ runId }) => dead.has(runId)) : [];
    if (still.length === 0) continue;
    const letterIds = still.map((letter) => letter.id);
    const wave = { id, kind: "REPLAY" as const, requestedBy: caller.keyId, body: { letterIds } };
    await tryAgain(tx, experiment, { base, chosen: still.map(({ runId }) => runId), wave });
    done.push(...letterIds);
  }
  if (done.length > 0) return { letterIds: done, replayed: false };
  const message = "wanted dead letters whose runs are DEAD and were not tried again, but none of the chosen is";
  throw new AssayError("STATE_CONFLICT", message, { detail: { currentState: "REPLAYED", allowedFrom: ["DEAD"] } });
}

const purge = statement(
  "dead-letter-purge",
  `update dead_letter set last_error = null, log_tail = null, purged_at = now()
   where tenant_id = $1 and id = any($2::uuid[]) and purged_at is null`,
);

/** Erases what dead letters say; their runs stay DEAD. Gives those that it erases, or would if it is only asked about. */
export async function purgeLetters(
  tx: Transaction,
  caller: Caller,
  { dryRun, ...choice }: LetterChoice & { readonly dryRun: boolean },
): Promise<string[]> {
  // Nothing is left to erase of those that were purged; a filter for them alone must not turn into one for all others.
  if (choice.filter.purged === true) return [];
  const letters = await chosen(tx, caller, { ...choice, filter: { ...choice.filter, purged: false }, waiting: false });
  const ids = letters.map((letter) => letter.id);
  if (!dryRun) await tx.run(purge, [caller.tenantId, ids]);
  return ids;
}
