import { type FileHandle, open } from "node:fs/promises";
import { AssayError } from "../errors.js";

const HEADER_BYTES_MAX = 100_000_000;
const LENGTH_BYTES = 8;

/** Bytes per element; sub-byte types are not taken. */
const elementBytes: Readonly<Record<string, number>> = {
  BOOL: 1,
  U8: 1,
  I8: 1,
  F8_E4M3: 1,
  F8_E5M2: 1,
  I16: 2,
  U16: 2,
  F16: 2,
  BF16: 2,
  I32: 4,
  U32: 4,
  F32: 4,
  I64: 8,
  U64: 8,
  F64: 8,
};

interface Span {
  readonly start: number;
  readonly end: number;
}

/**
 * Holds a file to the safetensors format: eight bytes of header length, a JSON header, then the tensors, one after another
 * without gap or overlap up to the end of the file. Throws MODEL_UNSAFE.
 */
export async function checkSafetensors(path: string, name: string): Promise<void> {
  const file = await open(path, "r");
  try {
    const { size } = await file.stat();
    const { header, headerBytes } = await readHeader(file, size, name);
    const tensors = Object.entries(header).filter(([tensor]) => tensor !== "__metadata__");
    const spans = tensors.map(([tensor, fields]) => spanOf(fields, `${name}, tensor ${tensor}`, name));
    let end = 0;
    for (const span of spans.sort((a, b) => a.start - b.start || a.end - b.end)) {
      if (span.start !== end)
        throw unsafe(name, `tensors in ${name} one after another`, "offsets with a gap or an overlap");
      end = span.end;
    }
    const wanted = LENGTH_BYTES + headerBytes + end;
    if (wanted !== size) throw unsafe(name, `${name} to have ${wanted} bytes as its header says`, `${size}`);
  } finally {
    await file.close();
  }
}

async function readHeader(
  file: FileHandle,
  size: number,
  name: string,
): Promise<{ header: Readonly<Record<string, unknown>>; headerBytes: number }> {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(LENGTH_BYTES), 0, LENGTH_BYTES, 0);
  const length = bytesRead === LENGTH_BYTES ? buffer.readBigUInt64LE() : 0n;
  if (length > BigInt(HEADER_BYTES_MAX)) {
    throw unsafe(name, `a header of at most ${HEADER_BYTES_MAX} bytes in ${name}`, `${length}`);
  }
  const headerBytes = Number(length);
  if (headerBytes < 2 || headerBytes + LENGTH_BYTES > size) {
    throw unsafe(name, `a header within the ${size} bytes of ${name}`, `one of ${length} bytes`);
  }
  const text = await file.read(Buffer.alloc(headerBytes), 0, headerBytes, LENGTH_BYTES);
  let header: unknown;
  try {
    header = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(text.buffer));
  } catch {
    throw unsafe(name, `a JSON header in ${name}`, "a text that is none");
  }
  if (!isObject(header)) throw unsafe(name, `a JSON object as the header of ${name}`, "another value");
  return { header, headerBytes };
}

function spanOf(fields: unknown, where: string, name: string): Span {
  const { dtype, shape, data_offsets: offsets } = isObject(fields) ? fields : {};
  if (!isSizes(shape) || !isSizes(offsets) || offsets.length !== 2 || typeof dtype !== "string") {
    throw unsafe(name, `dtype, shape and two data_offsets in ${where}`, "something else");
  }
  const [start = 0, end = 0] = offsets;
  const bytes = shape.reduce((product, length) => product * length, elementBytes[dtype] ?? Number.NaN);
  if (end - start !== bytes) throw unsafe(name, `${where} to have the ${bytes} bytes of its shape`, `${end - start}`);
  return { start, end };
}

function isSizes(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((item) => Number.isSafeInteger(item) && item >= 0);
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A model that must not be loaded. `file` is the one at fault, or null when one is missing. */
export function unsafe(file: string | null, wanted: string, got: string): AssayError {
  return new AssayError("MODEL_UNSAFE", `wanted ${wanted}, but got ${got}`, { detail: { file } });
}
