import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { readChecker } from "../src/domain/checkers.js";
import type { FieldFault } from "../src/domain/field-faults.js";

/** Verdicts of the reference implementations; the pod's checkers are held to the same files. */
function reference(name: string): readonly (readonly unknown[])[] {
  const rows: unknown = JSON.parse(readFileSync(`pods/tests/data/${name}_verdicts.json`, "utf8"));
  assert.ok(Array.isArray(rows));
  return rows;
}

function faultsOf(id: string, kwargs: unknown): readonly FieldFault[] {
  const faults: FieldFault[] = [];
  readChecker({ id, kwargs }, faults);
  return faults;
}

function passes(id: string, kwargs: unknown, text: string): boolean | null {
  assert.deepEqual(faultsOf(id, kwargs), []);
  return readChecker({ id, kwargs }, []).passes(text);
}

const needsLanguage = ["change_case:english_lowercase", "change_case:english_capital", "language:response_language"];

describe("a checker in TypeScript", () => {
  const rows = reference("ifeval");
  for (const rule of new Set(rows.map(([id]) => String(id)))) {
    it(`gives the reference's verdict, or says that only the pod can: ${rule}`, () => {
      for (const [id, kwargs, text, strict] of rows) {
        if (id !== rule || String(text).trim() === "") continue;
        const found = passes(`ifeval:${rule}`, kwargs, String(text));
        if (found === null) assert.ok(needsLanguage.includes(rule), rule);
        else assert.equal(found, strict, JSON.stringify([kwargs, text]));
      }
    });
  }

  it("gives the exact match of the official SQuAD script", () => {
    for (const [text, answer, exact] of reference("squad")) {
      assert.equal(
        passes("squad", { answers: [answer], version: "1.1" }, String(text)),
        exact === 1,
        JSON.stringify([text, answer]),
      );
    }
    assert.equal(passes("squad", { answers: [] }, " "), true);
    assert.equal(passes("squad", { answers: [] }, "Rollo"), false);
  });

  it("takes a number out exactly", () => {
    const cases: readonly [string, string, boolean][] = [
      ["3 + 4 = 7", "7", true],
      ["#### 18\nQ: 3+4\n#### 7", "18", true],
      ["#### $1,050.50", "1050.5", true],
      ["####\u22123", "-3", true],
      ["so 5-3", "3", true],
      ["The answer is 18.01", "18", false],
      ["no number", "18", false],
    ];
    for (const [text, answer, expected] of cases) assert.equal(passes("number", { answer }, text), expected, text);
  });

  it("wants every one of several instructions", () => {
    const instructions = [
      { id: "punctuation:no_comma", kwargs: {} },
      { id: "startend:quotation", kwargs: {} },
    ];
    assert.equal(passes("ifeval", { instructions }, '"No pause here"'), true);
    assert.equal(passes("ifeval", { instructions }, "No pause here"), false);
    const open = [...instructions, { id: "change_case:english_lowercase", kwargs: {} }];
    assert.equal(passes("ifeval", { instructions: open }, '"no pause here"'), null);
  });

  it("names arguments that do not fit, and instructions that nobody can check offline", () => {
    const cases: readonly [string, unknown, RegExp][] = [
      ["number", { answer: "none" }, /checker.kwargs.answer: wanted a text with a number, but got "none"/],
      ["squad", { answers: "x" }, /checker.kwargs.answers: wanted a list of at most 32 entries/],
      ["squad", { answers: [], version: "1.1" }, /wanted a list of 1 to 32 texts/],
      ["ifeval:keywords:existence", {}, /checker.kwargs.keywords: wanted a list of 1 to 32 texts/],
      [
        "ifeval:keywords:letter_frequency",
        { letter: "!", let_frequency: 1, let_relation: "at least" },
        /one of a to z/,
      ],
      ["ifeval:length_constraints:number_sentences", {}, /checker.id: wanted one of/],
      ["ifeval", { instructions: [] }, /at least one instruction/],
      [
        "ifeval",
        { instructions: [{ id: "change_case:capital_word_frequency" }] },
        /instructions.0.id: wanted an instruction that can be/,
      ],
    ];
    for (const [id, kwargs, expected] of cases) {
      const [fault] = faultsOf(id, kwargs);
      assert.match(`${fault?.column}: ${fault?.message}`, expected);
    }
  });

  it("is as quick on hostile text as on any other", () => {
    const hostile = [
      "\n".repeat(2e5),
      "*\n".repeat(1e5),
      "[".repeat(2e5),
      "<<".repeat(1e5),
      "#".repeat(2e5),
      "1,111".repeat(4e4),
      '\\"'.repeat(1e5),
    ];
    const kwargsOf = new Map(reference("ifeval").map(([id, kwargs]) => [`ifeval:${String(id)}`, kwargs]));
    kwargsOf.set("number", { answer: "1" }).set("squad", { answers: ["x"] });
    const started = performance.now();
    for (const [id, kwargs] of kwargsOf) for (const text of hostile) passes(id, kwargs, text);
    // Quadratic time would be minutes.
    assert.ok(performance.now() - started < 10_000);
  });
});
