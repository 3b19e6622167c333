import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { forgetOld } from "../src/dispatch/retention.js";
import { newId } from "../src/domain/digest.js";
import { forgetAged, forgetHistory } from "../src/store/retention.js";
import { Submitter } from "../src/store/submit.js";
import { testDatabases } from "./support/databases.js";
import { quietLog, submission, testPlan } from "./support/store.js";

const { app, work, caller, query } = await testDatabases();
const submitter = new Submitter(app);

/** An experiment with as many events as wanted, which ended so many days ago; null for one that has not. */
async function experiment(events: number, endedDaysAgo: number | null): Promise<string> {
  const { experimentId } = await submitter.submit(submission(caller, testPlan([{ stage: 0 }, { stage: 0 }])));
  await query(
    `insert into event (tenant_id, experiment_id, seq, kind, body, at)
     select $1, $2, n, 'LOG', '{"message": "planted"}', now() - interval '100 days' from generate_series(100, 99 + $3::int) n`,
    [caller.tenantId, experimentId, events],
  );
  await query("update experiment set ended_at = now() - make_interval(days => $2) where id = $1", [
    experimentId,
    endedDaysAgo,
  ]);
  return experimentId;
}

interface Kept {
  readonly events: number;
  readonly audit: number;
}

async function keptOf(experimentId: string): Promise<Kept> {
  const [row] = await query<Kept>(
    `select (select count(*)::int from event where experiment_id = $1) as events,
            (select count(*)::int from run_event e join run r on r.tenant_id = e.tenant_id and r.id = e.run_id
             where r.experiment_id = $1) as audit`,
    [experimentId],
  );
  return { events: row?.events ?? 0, audit: row?.audit ?? 0 };
}

const nothing: Kept = { events: 0, audit: 0 };
const parts = { database: work, log: quietLog, isEnding: () => false };
const days = { historyDays: 30, messageDays: 7 };

/** As if the last time were an hour ago. */
const anHourLater = (): Promise<object[]> => query("update chore set begun_at = begun_at - interval '1 hour'");

describe("what is old", () => {
  it("is forgotten in batches: events and audit of experiments that ended long ago, and of no others", async () => {
    const old = await experiment(12_000, 31);
    const another = await experiment(3, 400);
    const young = await experiment(3, 29);
    const open = await experiment(3, null);
    const [before, beforeOpen] = [await keptOf(young), await keptOf(open)];
    assert.ok(before.events > 3 && before.audit >= 2);
    const first = await work.transaction((tx) => forgetHistory(tx, 30));
    assert.deepEqual([first.experiments, first.events <= 5_000, first.events > 0], [2, true, true]);
    await forgetOld(parts, days);
    assert.deepEqual([await keptOf(old), await keptOf(another)], [nothing, nothing]);
    assert.deepEqual([await keptOf(young), await keptOf(open)], [before, beforeOpen]);
    const runs = await query("select 1 from run where experiment_id = $1", [old]);
    assert.equal(runs.length, 2, "the runs themselves stay");
    assert.equal((await work.transaction((tx) => forgetHistory(tx, 30))).experiments, 0);
  });

  it("is forgotten again when an experiment that was opened anew has ended long ago again", async () => {
    const again = await experiment(2, 60);
    await work.transaction((tx) => forgetHistory(tx, 30));
    await query(
      "update experiment set history_pruned_at = now() - interval '50 days', ended_at = now() - interval '40 days' where id = $1",
      [again],
    );
    await query("insert into event (tenant_id, experiment_id, seq, kind, body) values ($1, $2, 500, 'LOG', '{}')", [
      caller.tenantId,
      again,
    ]);
    assert.equal((await work.transaction((tx) => forgetHistory(tx, 30))).experiments, 1);
    assert.deepEqual(await keptOf(again), nothing);
  });

  it("is forgotten of messages, notes, shares and poison by their age, but never a message that waits to be published", async () => {
    await query("delete from outbox");
    const ages = [0, 6, 8, 29, 31];
    for (const age of ages) {
      const [id, at] = [newId(), `now() - interval '${age} days'`];
      await query(
        `insert into outbox (tenant_id, event_id, topic, key, type, payload, created_at, published_at)
         values ($1, $2, 't', 'k', 'published ${age}', '{}', ${at}, null), ($1, $3, 't', 'k', 'waits ${age}', '{}', ${at}, null)`,
        [caller.tenantId, id, newId()],
      );
      await query(`update outbox set published_at = ${at} where event_id = $1`, [id]);
      await query(`insert into inbox (tenant_id, consumer, event_id, at) values ($1, 'c ${age}', $2, ${at})`, [
        caller.tenantId,
        id,
      ]);
      await query(
        `insert into share_entry (tenant_id, n, kind, run_id, epoch, amount, start_tag, at) values ($1, ${age}, 'CLAIM', $2, 1, 1, 0, ${at})`,
        [caller.tenantId, id],
      );
      await query(
        `insert into poison_message (id, topic, partition, message_offset, consumer, reason, bytes, at)
         values ($1, 't', 0, ${age}, 'c', 'planted', 0, ${at})`,
        [id],
      );
    }
    await anHourLater();
    await forgetOld(parts, days);
    const types = await query<{ type: string }>("select type from outbox order by created_at desc, type");
    assert.deepEqual(
      types.map((row) => row.type),
      ["published 0", "waits 0", "published 6", "waits 6", "waits 8", "waits 29", "waits 31"],
    );
    assert.deepEqual(
      (await query<{ consumer: string }>("select consumer from inbox order by at desc")).map((row) => row.consumer),
      ["c 0", "c 6"],
    );
    const shares = await query<{ n: number }>("select n::int from share_entry order by n");
    const poison = await query<{ n: number }>("select message_offset::int as n from poison_message order by n");
    assert.deepEqual(
      [shares.map((row) => row.n), poison.map((row) => row.n)],
      [
        [0, 6, 8, 29],
        [0, 6, 8, 29],
      ],
    );
  });

  it("is looked for page by page, to the end of a large table", async () => {
    await query(
      `insert into inbox (tenant_id, consumer, event_id, at)
       select $1, repeat('x', 400), gen_random_uuid(), now() - interval '8 days' from generate_series(1, 20000)`,
      [caller.tenantId],
    );
    let [batches, deleted] = [0, 0];
    for (let from: number | null = 0; from !== null; batches += 1) {
      const at: number = from;
      const batch = await work.transaction((tx) => forgetAged(tx, "inbox", { days: 7, from: at }));
      assert.ok(batch.deleted < 12_000, `${batch.deleted} rows in one batch`);
      deleted += batch.deleted;
      from = batch.next;
    }
    assert.deepEqual([batches > 1, deleted], [true, 20_000]);
  });

  it("is forgotten by one dispatcher of all, once an hour, and no further when it is to end", async () => {
    const old = await experiment(1, 31);
    const kept = await keptOf(old);
    await forgetOld(parts, days); // less than an hour after the one above
    assert.deepEqual(await keptOf(old), kept);
    await anHourLater();
    await forgetOld({ ...parts, isEnding: () => true }, days);
    assert.deepEqual(await keptOf(old), kept);
    await anHourLater();
    await Promise.all([forgetOld(parts, days), forgetOld(parts, days)]);
    assert.deepEqual(await keptOf(old), nothing);
  });
});
