import { S3Client, S3ServiceException } from "@aws-sdk/client-s3";
import { AssayError } from "../errors.js";
import { reasonOf } from "../log.js";

/** Where the bucket is. Credentials come from the environment, as every program for such stores takes them. */
export interface BucketPlace {
  readonly bucket: string;
  /** Begins every key: empty, or words that end with a slash. */
  readonly prefix: string;
  readonly region: string;
  /** Undefined for Amazon's own store. */
  readonly endpoint: string | undefined;
}

/** A key of the store, for tests and for environments that are read elsewhere. */
export interface BucketKey {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

/** A client that names the bucket in the path where it talks to a store of one's own, and that keeps to the checksums it is given. */
export function bucketClient({ region, endpoint }: BucketPlace, credentials?: BucketKey): S3Client {
  return new S3Client({
    region,
    ...(endpoint === undefined ? {} : { endpoint, forcePathStyle: true }),
    ...(credentials === undefined ? {} : { credentials: { ...credentials } }),
    requestChecksumCalculation: "WHEN_REQUIRED",
    responseChecksumValidation: "WHEN_REQUIRED",
  });
}

/** What the store answers, or null where it says that there is no such key. Throws ARTIFACTS_UNAVAILABLE. */
export async function orNull<T>(answer: Promise<T>): Promise<T | null> {
  try {
    return await answer;
  } catch (cause) {
    if (statusOf(cause) === 404) return null;
    throw unavailable(cause);
  }
}

/** Status of the store's answer; undefined when there was none. */
export function statusOf(thrown: unknown): number | undefined {
  return thrown instanceof S3ServiceException ? thrown.$metadata.httpStatusCode : undefined;
}

/** The store did not do what was asked. Says what it answered, but no address: addresses may be secrets. */
export function unavailable(cause: unknown): AssayError {
  if (cause instanceof AssayError) return cause;
  const status = statusOf(cause);
  const came = cause instanceof S3ServiceException ? `${cause.name} (${status ?? "no status"})` : reasonOf(cause);
  return new AssayError("ARTIFACTS_UNAVAILABLE", `wanted the artifact store to answer, but got ${came}`, { cause });
}
