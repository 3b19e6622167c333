import type { Settings } from "./settings.js";

/** How long things are kept. */
export interface RetentionConfig {
  /** `ASSAY_HISTORY_DAYS`: how long events and the audit of an experiment are kept after its end, 1 to 3650 days. Default 30. */
  readonly historyDays: number;
  /** `ASSAY_MESSAGE_DAYS`: how long published messages and notes of seen ones are kept, 1 to 365 days; not shorter than Kafka keeps its topics. Default 7. */
  readonly messageDays: number;
}

/** Reads how long things are kept. */
export function readRetention(settings: Settings): RetentionConfig {
  return {
    historyDays: settings.integer("ASSAY_HISTORY_DAYS", 30, [1, 3_650]),
    messageDays: settings.integer("ASSAY_MESSAGE_DAYS", 7, [1, 365]),
  };
}
