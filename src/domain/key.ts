import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import { crc32 } from "node:zlib";

/** The two halves of an API key. `publicId` finds the row; only the SHA-256 of `secret` is ever stored. */
export interface KeyParts {
  readonly publicId: string;
  readonly secret: string;
}

const ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const PUBLIC_LENGTH = 12;
const SECRET_LENGTH = 32;
const FORMAT = /^(assay_live_([0-9A-Za-z]{12})_([0-9A-Za-z]{32}))_([0-9a-f]{8})$/;

/** A new key: 190 random bits in its secret, and a checksum by which scanners tell a leaked key from other text. */
export function newKey(): string {
  return keyText({ publicId: randomText(PUBLIC_LENGTH), secret: randomText(SECRET_LENGTH) });
}

/** The parts of a key, or null for a text that is none: wrong format or wrong checksum. */
export function parseKey(text: string): KeyParts | null {
  const [, body, publicId, secret, checksum] = FORMAT.exec(text) ?? [];
  if (body === undefined || publicId === undefined || secret === undefined) return null;
  return checksumOf(body) === checksum ? { publicId, secret } : null;
}

/** What is stored of a key's secret. It has too many random bits to be guessed, so a fast hash is enough. */
export function secretDigest(parts: KeyParts): Buffer {
  return createHash("sha256").update(parts.secret).digest();
}

/** Whether this is the key that was stored; takes as long for a wrong secret as for the right one. */
export function isSecret(parts: KeyParts, stored: Buffer): boolean {
  const digest = secretDigest(parts);
  return stored.length === digest.length && timingSafeEqual(digest, stored);
}

/** A key as people hold it. */
export function keyText({ publicId, secret }: KeyParts): string {
  const body = `assay_live_${publicId}_${secret}`;
  return `${body}_${checksumOf(body)}`;
}

function checksumOf(body: string): string {
  return crc32(body).toString(16).padStart(8, "0");
}

/** Bytes that would favour the first letters are thrown away. */
function randomText(length: number): string {
  const fair = 256 - (256 % ALPHABET.length);
  let text = "";
  while (text.length < length) {
    for (const byte of randomBytes(length)) {
      if (byte < fair && text.length < length) text += ALPHABET[byte % ALPHABET.length];
    }
  }
  return text;
}
