import { GetObjectCommand, PutObjectCommand, type S3Client } from "@aws-sdk/client-s3";
import { getSignedUrl } from "@aws-sdk/s3-request-presigner";
import { unavailable } from "./bucket-client.js";
import type { UploadGrant } from "./store.js";

/** The largest object that one PUT may bring. */
export const GRANT_BYTES_MAX = 5 * 2 ** 30;

const READ_SECONDS = 3_600;
const WRITE_SECONDS = 900;

interface ObjectName {
  readonly Bucket: string;
  readonly Key: string;
}

/** An address at which the object can be read for an hour. */
export function presignGet(client: S3Client, object: ObjectName): Promise<string> {
  return signed(getSignedUrl(client, new GetObjectCommand(object), { expiresIn: READ_SECONDS }));
}

/**
 * An address at which exactly these bytes can be written for a quarter of an hour. Size and checksum are part of what is signed,
 * so a PUT with others is refused by its signature, and one whose bytes do not fit is refused by its checksum.
 */
export async function presignPut(
  client: S3Client,
  object: ObjectName,
  file: { readonly sizeBytes: number; readonly checksum: string },
): Promise<UploadGrant> {
  const command = new PutObjectCommand({ ...object, ContentLength: file.sizeBytes, ChecksumSHA256: file.checksum });
  const url = await signed(
    getSignedUrl(client, command, {
      expiresIn: WRITE_SECONDS,
      // In the address the checksum would be a word that some stores do not read; as a signed header field all do.
      unhoistableHeaders: new Set(["x-amz-checksum-sha256"]),
      signableHeaders: new Set(["host", "content-length", "x-amz-checksum-sha256"]),
    }),
  );
  return { url, headers: { "content-length": String(file.sizeBytes), "x-amz-checksum-sha256": file.checksum } };
}

/** Signing asks nobody, except for credentials. */
function signed(url: Promise<string>): Promise<string> {
  return url.catch((cause: unknown) => {
    throw unavailable(cause);
  });
}
