import { isObject, show } from "./field-faults.js";
import { decodedBy, ItemCheck } from "./item-check.js";
import { ObjectsAtDepth } from "./json-objects.js";
import { parseJson } from "./json-text.js";
import { LINE_BYTES_MAX } from "./records.js";
import type { RecordReport } from "./upload-report.js";
import { readQuestion } from "./user-items.js";

/** A paragraph is an object in a list in an article in a list in the document: four levels down. */
const PARAGRAPH_DEPTH = 4;
const CONTEXT_LENGTH_MAX = 50_000;
const QUESTIONS_MAX = 1_000;

/** Checks a SQuAD file (version 1.1 or 2.0), one paragraph in memory at a time. Rows are questions, numbered from 1. */
export async function checkSquad(chunks: AsyncIterable<Uint8Array>): Promise<RecordReport> {
  const check = new ItemCheck();
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  const objects = new ObjectsAtDepth(PARAGRAPH_DEPTH, LINE_BYTES_MAX);
  for await (const chunk of chunks) {
    for (const bytes of objects.take(chunk)) takeParagraph(check, bytes === null ? null : decodedBy(decoder, bytes));
    if (objects.failed !== null) break;
  }
  const around = objects.failed ?? faultAround(decodedBy(decoder, objects.around()));
  if (around !== null) check.problem(null, around, 0);
  return check.finish();
}

function takeParagraph(check: ItemCheck, text: string | null): void {
  const parsed = text === null ? null : parseJson(text);
  if (parsed === null)
    refuse(check, null, `wanted a paragraph in UTF-8 of at most ${LINE_BYTES_MAX} bytes, but got none`);
  else if (!parsed.ok) refuse(check, null, `in its paragraph: ${parsed.fault.message}`);
  else takeQuestions(check, isObject(parsed.value) ? parsed.value : {});
}

function takeQuestions(check: ItemCheck, { context, qas }: Readonly<Record<string, unknown>>): void {
  if (typeof context !== "string" || context === "" || context.length > CONTEXT_LENGTH_MAX) {
    refuse(check, "context", `wanted a text of 1 to ${CONTEXT_LENGTH_MAX} characters, but got ${show(context)}`);
  } else if (!Array.isArray(qas) || qas.length > QUESTIONS_MAX) {
    refuse(check, "qas", `wanted a list of at most ${QUESTIONS_MAX} questions, but got ${show(qas)}`);
  } else {
    for (const [i, question] of qas.entries()) {
      if (!check.next()) return;
      check.take(readQuestion(question, context), `qas.${i}.`);
    }
  }
}

/** A paragraph of which no question can be read counts as one row. */
function refuse(check: ItemCheck, column: string | null, message: string): void {
  check.next();
  check.problem(column, message);
}

/** What is wrong with the document around its paragraphs, which stand in it as zeros. */
function faultAround(text: string | null): string | null {
  const parsed = text === null ? null : parseJson(text);
  if (parsed === null) return "wanted UTF-8, but these bytes are not";
  if (!parsed.ok) return `around its paragraphs: ${parsed.fault.message}`;
  const data = isObject(parsed.value) ? parsed.value["data"] : undefined;
  const articles: readonly unknown[] = Array.isArray(data) ? data : [];
  if (articles.length === 0) return `wanted {"data": [articles]}, but got ${show(parsed.value)}`;
  const bad = articles.findIndex((article) => !isArticle(article));
  return bad < 0 ? null : `data.${bad}: wanted {"paragraphs": [paragraphs]}, but got ${show(articles[bad])}`;
}

function isArticle(value: unknown): boolean {
  const paragraphs = isObject(value) ? value["paragraphs"] : undefined;
  return Array.isArray(paragraphs) && paragraphs.every((paragraph) => paragraph === 0);
}
