import { AssayError } from "../errors.js";
import { statement, type Transaction } from "./transaction.js";

/** Functions that run with their owner's rights on purpose. */
const DEFINER_FUNCTIONS = ["find_api_key"];

const faults = statement(
  "safety-faults",
  `
  select 'role ' || rolname || ' is a superuser or bypasses row-level security' as fault
    from pg_roles where rolname = current_user and (rolsuper or rolbypassrls)
  union all
  select 'role ' || current_user || ' may become ' || r.rolname
    from pg_roles r
    where r.rolname <> current_user and pg_has_role(current_user, r.oid, 'member')
      and (r.rolsuper or r.rolbypassrls or exists (select 1 from pg_class c where c.relowner = r.oid and c.relkind in ('r', 'v')))
  union all
  select 'role ' || current_user || ' owns ' || c.oid::regclass
    from pg_class c join pg_roles r on r.oid = c.relowner where r.rolname = current_user
  union all
  select 'role ' || current_user || ' may create objects in schema ' || n.nspname
    from pg_namespace n
    where n.nspname !~ '^pg_' and n.nspname <> 'information_schema' and has_schema_privilege(current_user, n.oid, 'create')
  union all
  select 'table ' || c.oid::regclass || ' has tenant_id, but row-level security is not enabled and forced'
    from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attname = 'tenant_id' and not a.attisdropped
    where c.relkind in ('r', 'p') and not (c.relrowsecurity and c.relforcerowsecurity)
  union all
  select 'view ' || c.oid::regclass || ' runs with its owner''s rights'
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.relkind in ('v', 'm') and n.nspname not in ('pg_catalog', 'information_schema')
      and not coalesce(c.reloptions @> array['security_invoker=true'], false)
  union all
  select 'function ' || p.oid::regprocedure || ' runs with its owner''s rights'
    from pg_proc p join pg_namespace n on n.oid = p.pronamespace
    where p.prosecdef and n.nspname not in ('pg_catalog', 'information_schema') and p.proname <> all ($1::text[])
`,
);

/** Throws CONFIG_INVALID with every way in which the current role could see rows that are not its tenant's. */
export async function checkSafety(tx: Transaction): Promise<void> {
  const found = await tx.rows<{ fault: string }>(faults, [DEFINER_FUNCTIONS]);
  if (found.length === 0) return;
  const list = found.map((row) => row.fault).join("; ");
  throw new AssayError("CONFIG_INVALID", `wanted a database that keeps tenants apart, but: ${list}`);
}
