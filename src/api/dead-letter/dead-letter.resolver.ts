import { Arg, Args, Ctx, FieldResolver, ID, Query, Resolver, Root } from "type-graphql";
import type { DeadLetter } from "../../domain/dead-letter.js";
import type { Run } from "../../domain/run.js";
import { listDeadLetters } from "../../store/dead-letter-reads.js";
import { type Connection, connectionOf, PageArgs, pageOf, timeCursor } from "../connection.js";
import type { Context } from "../context.js";
import { typedExperiment } from "../experiment/experiment.js";
import { globalId, idArgument, idWords, keyIn } from "../ids.js";
import { failureOf } from "../run/failure.type.js";
import { filterOf } from "./choice.js";
import { DeadLetterFilterInput } from "./dead-letter.input.js";
import { DeadLetterConnection, DeadLetterType } from "./dead-letter.type.js";

@Resolver(() => DeadLetterType)
export class DeadLetterResolver {
  @Query(() => DeadLetterType, {
    nullable: true,
    description: "The dead letter with this id; null when none is visible to the key.",
  })
  deadLetter(
    @Arg("id", () => ID, idArgument) id: string,
    @Ctx() { reads }: Context,
  ): Promise<DeadLetter | null> | null {
    const key = keyIn(id, "DeadLetter");
    return key === null ? null : reads.deadLetter(key);
  }

  @Query(() => DeadLetterConnection, { description: "Dead letters of the key's project, the newest first." })
  async deadLetters(
    @Args(() => PageArgs) args: PageArgs,
    @Arg("filter", () => DeadLetterFilterInput, { nullable: true, description: "Which of them." })
    filter: DeadLetterFilterInput | null,
    @Ctx() context: Context,
  ): Promise<Connection<object>> {
    const page = pageOf(args, timeCursor);
    const { projectId } = context.caller;
    const wanted = { ...(await filterOf(filter ?? {}, context, ["filter"])), projectId };
    const found = await context.reads.within((tx) => listDeadLetters(tx, wanted, page));
    return connectionOf(found, timeCursor, ({ at, id }) => ({ createdAt: at, id }));
  }

  @FieldResolver(() => ID, idWords)
  id(@Root() letter: DeadLetter): string {
    return globalId("DeadLetter", letter.id);
  }

  @FieldResolver()
  async experiment(@Root() letter: DeadLetter, @Ctx() { reads }: Context): Promise<object | null> {
    const experiment = await reads.experiment(letter.experimentId);
    return experiment === null ? null : typedExperiment(experiment);
  }

  @FieldResolver()
  run(@Root() letter: DeadLetter, @Ctx() { reads }: Context): Promise<Run | null> {
    return reads.run(letter.runId);
  }

  @FieldResolver()
  diedAt(@Root() letter: DeadLetter): Date {
    return letter.at;
  }

  @FieldResolver()
  failure(@Root() { errorClass, errorCode, lastError, reason, purgedAt }: DeadLetter): object | null {
    const errorMessage = purgedAt === null ? lastError : "Its words were erased.";
    return failureOf({ errorClass, errorCode: errorCode ?? reason, errorMessage, errorStage: null });
  }
}
