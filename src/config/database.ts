import type { Settings } from "./settings.js";

/** A login of the database that the roles share. */
export interface DatabaseLogin {
  /** `ASSAY_DATABASE_HOST`: name or address of the server. */
  readonly host: string;
  /** `ASSAY_DATABASE_PORT`. Default 5432. */
  readonly port: number;
  /** `ASSAY_DATABASE_NAME`. Default `assay`. */
  readonly database: string;
  /** The role in PostgreSQL; its name is part of the schema's policies and so is not a setting. */
  readonly user: "assay_owner" | "assay_app" | "assay_work";
  /** `ASSAY_DATABASE_OWNER_PASSWORD`, `ASSAY_DATABASE_APP_PASSWORD` or `ASSAY_DATABASE_WORK_PASSWORD`, or the same with `_FILE`. */
  readonly password: string;
  /** `ASSAY_DATABASE_TLS`: `true` for encrypted connections whose certificate is checked. Default `false`. */
  readonly tls: DatabaseTls | undefined;
}

/** How the server's certificate is checked. */
export interface DatabaseTls {
  /** `ASSAY_DATABASE_TLS_CA`: PEM file of the authority; Node's own authorities where it is empty. */
  readonly ca: string | undefined;
}

const passwords = {
  assay_owner: "ASSAY_DATABASE_OWNER_PASSWORD",
  assay_app: "ASSAY_DATABASE_APP_PASSWORD",
  assay_work: "ASSAY_DATABASE_WORK_PASSWORD",
} as const;

/** Reads one login. A process that is given the password of another one is refused: what it does not hold, it cannot lose. */
export function readDatabase(settings: Settings, user: DatabaseLogin["user"]): DatabaseLogin {
  for (const [other, name] of Object.entries(passwords)) {
    if (other !== user) settings.refuse([name, `${name}_FILE`], `this role logs in as ${user} alone`);
  }
  const isEncrypted = settings.flag("ASSAY_DATABASE_TLS", false);
  const ca = settings.file("ASSAY_DATABASE_TLS_CA")?.toString("utf8");
  if (ca !== undefined && !isEncrypted)
    settings.fault("ASSAY_DATABASE_TLS", "true beside ASSAY_DATABASE_TLS_CA", "false");
  return {
    host: settings.required("ASSAY_DATABASE_HOST", "the name or address of PostgreSQL"),
    port: settings.integer("ASSAY_DATABASE_PORT", 5432, [1, 65_535]),
    database: settings.text("ASSAY_DATABASE_NAME", "assay"),
    user,
    password: settings.secret(passwords[user], `the password of ${user}`),
    tls: isEncrypted ? { ca } : undefined,
  };
}
