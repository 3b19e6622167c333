export { AssayClient } from "./client.js";
export { AssayRequestError, type UserError } from "./errors.js";
export type { FollowOptions } from "./events.js";
export type * from "./results.types.js";
export type { RankingDiffRequest } from "./retrieval.js";
export type * from "./retrieval.types.js";
export type * from "./types.js";
