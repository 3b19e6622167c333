import type { DatasetKind } from "../../domain/dataset.js";
import { checkItems } from "../../domain/item-check.js";
import { linesOf } from "../../domain/lines.js";
import { checkRecords } from "../../domain/records.js";
import { checkCollection } from "../../domain/retrieval-check.js";
import { checkSquad } from "../../domain/squad-check.js";
import type { RecordReport } from "../../domain/upload-report.js";
import { readGsm8k, readIfeval } from "../../domain/user-items.js";

/** Checks the bytes of an upload against the format of its kind, a line or a paragraph in memory at a time. */
export function checkUpload(kind: DatasetKind, bytes: AsyncIterable<Uint8Array>): Promise<RecordReport> {
  switch (kind) {
    case "PREFERENCE":
      return checkRecords(linesOf(bytes));
    case "GSM8K":
      return checkItems(linesOf(bytes), readGsm8k);
    case "IFEVAL":
      return checkItems(linesOf(bytes), readIfeval);
    case "SQUAD":
      return checkSquad(bytes);
    case "CORPUS":
    case "QUERIES":
    case "QRELS":
    case "EXPANSIONS":
      return checkCollection(kind, bytes);
    default:
      return kind satisfies never;
  }
}
