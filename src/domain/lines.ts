import { LINE_BYTES_MAX, type Line } from "./records.js";

const NEWLINE = 10;

/**
 * Cuts a stream of bytes into lines, without their ends. A line that is too long is given as null and never kept whole, so
 * that no file takes more memory than one line may. The last line needs no end; after a last end there is no further line.
 */
export async function* linesOf(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Line, void, undefined> {
  let held: Uint8Array[] = [];
  let heldBytes = 0;
  const take = (): Line => {
    const line = heldBytes > LINE_BYTES_MAX ? null : Buffer.concat(held);
    held = [];
    heldBytes = 0;
    return line;
  };
  for await (const chunk of bytes) {
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, start)) {
      heldBytes += end - start;
      if (heldBytes <= LINE_BYTES_MAX) held.push(chunk.subarray(start, end));
      yield take();
      start = end + 1;
    }
    heldBytes += chunk.length - start;
    if (heldBytes <= LINE_BYTES_MAX) held.push(chunk.subarray(start));
    else held = [];
  }
  if (heldBytes > 0) yield take();
}
