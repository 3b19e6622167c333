/** Topics of the bus. Messages carry ids, never payloads: whoever hears one looks into the store. */
export const topics = {
  /** Runs may be claimed: work for dispatchers. */
  runsQueued: "assay.runs.queued",
  /** Events of an experiment were written: a bell for gateways and other consumers. */
  events: "assay.events",
} as const;
export type Topic = (typeof topics)[keyof typeof topics];

/** A message as it crosses the bus. */
export interface Message {
  /** The outbox row's id; a consumer that saw it drops it. */
  readonly eventId: string;
  readonly topic: Topic;
  /** `tenant:experiment`: order holds within one experiment. */
  readonly key: string;
  /** Versioned type, for instance `assay.events.v1.EventsWritten`. */
  readonly type: string;
  readonly tenantId: string;
  /** W3C trace context of the request that made the experiment; null where it is not known. */
  readonly traceparent: string | null;
  readonly payload: { readonly experimentId: string; readonly [field: string]: string | number };
}
