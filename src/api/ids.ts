/** What a global id can name. */
export const nodeKinds = [
  "Artifact",
  "Dataset",
  "DatasetVersion",
  "DeadLetter",
  "Experiment",
  "Flip",
  "ItemResult",
  "Model",
  "Project",
  "Run",
  "RunEvent",
  "ServiceAccount",
  "Upload",
] as const;
export type NodeKind = (typeof nodeKinds)[number];

/** The parts of a global id. */
export interface NodeKey {
  readonly kind: NodeKind;
  /**
   * A UUID. With dots between: for a RunEvent its experiment's UUID and its sequence, for an ItemResult its run's UUID and 32 hex
   * digits, for a Flip the UUIDs of two runs and these digits.
   */
  readonly key: string;
}

const UUID = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}";
const PLAIN = new RegExp(`^${UUID}$`);
const ITEM = new RegExp(`^${UUID}\\.[0-9a-f]{32}$`);
const FLIP = new RegExp(`^${UUID}\\.${UUID}\\.[0-9a-f]{32}$`);
const EVENT = new RegExp(`^${UUID}\\.[1-9][0-9]{0,14}$`);

/** Whether a text is a UUID as the database writes it. */
export function isUuid(text: string): boolean {
  return PLAIN.test(text);
}

/** What every published id is described as. */
export const idWords = { description: "Opaque; the same for as long as the thing exists." } as const;

/** What an argument that is an id is described as. */
export const idArgument = { description: "An id as the API gave it." } as const;

/** What the one argument of a mutation is described as. */
export const inputArgument = { description: "What the mutation needs." } as const;

/** The opaque id by which clients name a thing. */
export function globalId(kind: NodeKind, key: string): string {
  return Buffer.from(`${kind}:${key}`).toString("base64url");
}

/** The parts of a global id, or null for a text that is none. */
export function parseGlobalId(id: string): NodeKey | null {
  if (id.length > 200 || !/^[A-Za-z0-9_-]+$/.test(id)) return null;
  const [name = "", key = "", ...rest] = Buffer.from(id, "base64url").toString("utf8").split(":");
  const kind = nodeKinds.find((known) => known === name);
  if (kind === undefined || rest.length > 0 || !formOf(kind).test(key)) return null;
  // One thing has one id: other spellings of the same bytes are no ids.
  return globalId(kind, key) === id ? { kind, key } : null;
}

function formOf(kind: NodeKind): RegExp {
  switch (kind) {
    case "Flip":
      return FLIP;
    case "ItemResult":
      return ITEM;
    case "RunEvent":
      return EVENT;
    default:
      return PLAIN;
  }
}

/** The key in a global id of this kind, or null for any other text. */
export function keyIn(id: string, kind: NodeKind): string | null {
  const parsed = parseGlobalId(id);
  return parsed?.kind === kind ? parsed.key : null;
}
