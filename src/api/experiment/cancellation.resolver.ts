import { Args, Ctx, FieldResolver, Resolver, Root } from "type-graphql";
import type { Experiment } from "../../domain/experiment.js";
import type { Run } from "../../domain/run.js";
import { listReceipts, type ReceiptSums, type RunReceipt } from "../../store/receipts.js";
import { type Connection, connectionOf, numberCursor, PageArgs, pageOf } from "../connection.js";
import type { Context } from "../context.js";
import { CancellationType, CancelledRunConnection, CancelledRunType } from "./cancellation.type.js";

/** What a cancellation's fields are made from. */
export interface CancellationFacts extends ReceiptSums {
  readonly mode: NonNullable<Experiment["cancelMode"]>;
  readonly reason: string | null;
  readonly requestedAt: Date;
  readonly cancelledBy: string | null;
  readonly complete: boolean;
}

/** The receipt of an experiment's cancel; null where nobody cancelled it. */
export async function cancellationOf(experiment: Experiment, { reads }: Context): Promise<CancellationFacts | null> {
  const {
    id,
    cancelMode: mode,
    cancelReason: reason,
    cancelRequestedAt: requestedAt,
    cancelledBy,
    endedAt,
  } = experiment;
  if (mode === null || requestedAt === null) return null;
  const sums = await reads.receipt(id);
  return { ...sums, mode, reason, requestedAt, cancelledBy, complete: endedAt !== null };
}

@Resolver(() => CancellationType)
export class CancellationResolver {
  @FieldResolver()
  async requestedBy(@Root() { cancelledBy }: CancellationFacts, @Ctx() { reads }: Context): Promise<object | null> {
    const key = cancelledBy === null ? null : await reads.key(cancelledBy);
    return key === null ? null : { ...key, __typename: "ServiceAccount" };
  }

  @FieldResolver(() => CancelledRunConnection, {
    description: "What it made of each run that had not ended before it, in the order of the plan.",
  })
  async runs(
    @Root() { experimentId }: CancellationFacts,
    @Args(() => PageArgs) args: PageArgs,
    @Ctx() { reads }: Context,
  ): Promise<Connection<object>> {
    const page = pageOf(args, numberCursor);
    const receipts = await reads.within((tx) => listReceipts(tx, experimentId, page));
    return connectionOf(receipts, numberCursor, (receipt) => receipt.position);
  }
}

@Resolver(() => CancelledRunType)
export class CancelledRunResolver {
  @FieldResolver()
  run(@Root() { runId }: RunReceipt, @Ctx() { reads }: Context): Promise<Run | null> {
    return reads.run(runId);
  }

  @FieldResolver()
  async files(@Root() { runId, filesKept }: RunReceipt, @Ctx() { reads }: Context): Promise<readonly object[]> {
    return filesKept === 0 ? [] : reads.files(runId);
  }
}
