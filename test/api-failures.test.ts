import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { AssayError } from "../src/errors.js";
import { testApi } from "./support/api.js";
import { data } from "./support/requests.js";

const test = await testApi();
const { api, holder, databases, logged } = test;

describe("a fault of ours", () => {
  /** Breaks the database under the API for one request. */
  async function brokenAnswer(
    reason: Error,
    mock: (reason: Error) => { restore: () => void },
  ): Promise<{ status: number; text: string }> {
    const broken = mock(reason);
    try {
      const answer = await fetch(`${api.url}/graphql`, {
        method: "POST",
        headers: { "content-type": "application/json", authorization: `Bearer ${holder.key}` },
        body: JSON.stringify({ query: "{ viewer { project { id } } }" }),
      });
      return { status: answer.status, text: await answer.text() };
    } finally {
      broken.restore();
    }
  }
  const reasons = [
    new TypeError("cannot read property of undefined"),
    new RangeError('select * from secret_table where password = "hunter2"'),
    Object.assign(new Error("ENOENT: /srv/secret/path"), { code: "ENOENT" }),
  ];
  for (const reason of reasons) {
    it(`is masked with a trace id that finds it in the log: ${reason.name} ${reason.message.slice(0, 20)}`, async (t) => {
      // Asked once, so that the key is known and only the query itself meets the fault.
      await data(test, holder, "{ __typename }");
      const { text } = await brokenAnswer(
        reason,
        (error) => t.mock.method(databases.app, "withTenant", () => Promise.reject(error)).mock,
      );
      const [error] = JSON.parse(text).errors;
      assert.equal(error.extensions.code, "INTERNAL");
      assert.equal(error.message, "Something broke on our side; the trace id finds it in the log.");
      assert.ok(!text.includes(reason.message.slice(0, 20)));
      assert.doesNotMatch(text, /stack|\.ts:|\.js:|secret|hunter2/);
      const line = logged.find((entry) => entry.includes(error.extensions.traceId));
      assert.ok(line?.includes(reason.name));
      assert.equal(JSON.parse(line ?? "{}").level, "error");
    });
  }

  it("is told as such when the database is away, and may be tried again", async (t) => {
    const away = new AssayError("STORE_UNAVAILABLE", "at 10.0.0.7:5432");
    const { text } = await brokenAnswer(
      away,
      (error) => t.mock.method(databases.app, "withTenant", () => Promise.reject(error)).mock,
    );
    assert.equal(JSON.parse(text).errors[0].extensions.code, "STORE_UNAVAILABLE");
    assert.doesNotMatch(text, /10\.0\.0\.7/);
    const fresh = await test.newKeyOf(holder.caller);
    t.mock.method(databases.app, "withoutTenant", () => Promise.reject(away));
    const answer = await fetch(`${api.url}/graphql`, {
      method: "POST",
      headers: { authorization: `Bearer ${fresh.key}` },
    });
    assert.equal(answer.status, 503);
    assert.equal(answer.headers.get("retry-after"), "1");
  });
});
