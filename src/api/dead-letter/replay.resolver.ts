import { Arg, Ctx, Mutation, Resolver } from "type-graphql";
import { invalidInput } from "../../errors.js";
import {
  type LetterChoice,
  purgeLetters,
  type Replayed,
  replayable,
  replayLetters,
} from "../../store/dead-letter-replay.js";
import { PAGE_MAX } from "../connection.js";
import type { Context } from "../context.js";
import { keyed } from "../experiment/keyed.js";
import { inputArgument } from "../ids.js";
import { type Answer, answered } from "../present.js";
import { choiceOf } from "./choice.js";
import { DeadLettersPayload, PurgeDeadLettersInput, ReplayDeadLettersInput } from "./dead-letter.input.js";

const OWN = "Needs the scope SUBMIT for those of experiments that the key itself submitted, CANCEL_ANY for any other.";

interface Done {
  readonly dryRun: boolean;
  readonly count: number;
  readonly deadLetters: readonly object[];
  readonly replayed: boolean;
}

const nothing = { dryRun: true, count: 0, deadLetters: [], replayed: false };

/** What is done with dead letters. */
@Resolver()
export class DeadLetterActionResolver {
  @Mutation(() => DeadLettersPayload, {
    description: `Tries the runs of dead letters again, under the ids that they have; ask with dryRun first. ${OWN}`,
  })
  replayDeadLetters(
    @Arg("input", () => ReplayDeadLettersInput, inputArgument) input: ReplayDeadLettersInput,
    @Ctx() context: Context,
  ): Promise<Done & Answer> {
    return answered<Done>(input, nothing, async () => {
      const choice = await choiceOf(input, context);
      const { letterIds, replayed } = input.dryRun
        ? await wouldReplay(choice, context)
        : await replay(input, choice, context);
      return { ...(await told(letterIds, context)), dryRun: input.dryRun, replayed };
    });
  }

  @Mutation(() => DeadLettersPayload, {
    description: `Erases the errors and logs of dead letters. Their runs stay DEAD, and can still be tried again; ask with dryRun first. ${OWN}`,
  })
  purgeDeadLetters(
    @Arg("input", () => PurgeDeadLettersInput, inputArgument) input: PurgeDeadLettersInput,
    @Ctx() context: Context,
  ): Promise<Done & Answer> {
    return answered<Done>(input, nothing, async () => {
      const { dryRun } = input;
      const choice = { ...(await choiceOf(input, context)), dryRun };
      const ids = await context.reads.within((tx) => purgeLetters(tx, context.caller, choice));
      return { ...(await told(ids, context)), dryRun, replayed: false };
    });
  }
}

async function wouldReplay(choice: LetterChoice, { reads, caller }: Context): Promise<Replayed> {
  return { letterIds: await reads.within((tx) => replayable(tx, caller, choice)), replayed: false };
}

function replay(input: ReplayDeadLettersInput, choice: LetterChoice, context: Context): Promise<Replayed> {
  const { idempotencyKey = null } = input;
  if (idempotencyKey === null) throw invalidInput(["input", "idempotencyKey"], "a key, as it is no dry run", null);
  const { diedBefore, ...filter } = choice.filter;
  const body = { ids: choice.ids, filter: { ...filter, diedBefore: diedBefore?.toISOString() } };
  const request = keyed("replayDeadLetters", { idempotencyKey }, { context, body });
  return context.reads.within((tx) => replayLetters(tx, request, choice));
}

async function told(ids: readonly string[], { reads }: Context): Promise<Pick<Done, "count" | "deadLetters">> {
  const letters = await Promise.all(ids.slice(0, PAGE_MAX).map((id) => reads.deadLetter(id)));
  return { count: ids.length, deadLetters: letters.filter((letter) => letter !== null) };
}
