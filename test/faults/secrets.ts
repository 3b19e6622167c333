import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { type Breach, breachOf, type Query } from "./rule.js";

/** I18: none of the planted secrets stands in any table or log. Rows show the place and never the secret. */
export async function secretBreaches(
  query: Query,
  canaries: readonly string[],
  logs: readonly string[],
): Promise<Breach[]> {
  const found: object[] = [];
  const tables = await query<{ name: string }>(
    `select quote_ident(c.relname) as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where n.nspname = 'public' and c.relkind in ('r', 'p') order by 1`,
  );
  for (const { name } of tables) {
    // Bytes are shown in hexadecimal, so a secret in them is looked for in that form too.
    const rows = await query<{ canary: number; rows: number }>(
      `select c.n::int as canary, count(*)::int as rows from ${name} t, unnest($1::text[]) with ordinality as c(text, n)
       where strpos(t::text, c.text) > 0 or strpos(t::text, encode(convert_to(c.text, 'UTF8'), 'hex')) > 0 group by c.n`,
      [canaries],
    );
    found.push(...rows.map((row) => ({ place: `table ${name}`, ...row })));
  }
  for (const path of logs.flatMap(filesOf)) {
    const text = readFileSync(path, "utf8");
    for (const [i, canary] of canaries.entries())
      if (text.includes(canary)) found.push({ place: `log ${path}`, canary: i + 1 });
  }
  return breachOf({ invariant: "I18", says: "no secret stands in any table or log" }, found);
}

/** The file itself, or every file below the folder. */
export function filesOf(path: string): string[] {
  if (!statSync(path).isDirectory()) return [path];
  return readdirSync(path, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}
