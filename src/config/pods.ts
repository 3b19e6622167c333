import type { Settings } from "./settings.js";

/** PEM texts of one side of a connection between dispatcher and pod. Both sides show a certificate. */
export interface PodTls {
  /** `ASSAY_POD_TLS_CA`: file of the authority that the other side's certificate must come from. */
  readonly ca: Buffer;
  /** `ASSAY_POD_TLS_CERT`: file of our certificate chain. */
  readonly cert: Buffer;
  /** `ASSAY_POD_TLS_KEY`: file of its private key. */
  readonly key: Buffer;
  /** `ASSAY_POD_TLS_NAME`: the name that every pod's certificate must be for. Default: the host that is dialled. */
  readonly serverName: string | undefined;
}

/** How a pod deals with the state of what it works on. */
export interface PodTimes {
  /** `ASSAY_CHECKPOINT_SECONDS`: seconds of training between two checkpoints, at least, 0 to 86400. Default 30. */
  readonly checkpointSeconds: number;
  /**
   * `ASSAY_GRACE_SECONDS`: how long runs may take to write a checkpoint when the pod is to end, 0 to 86400. Default 120, and 5 for
   * the service in one process.
   */
  readonly graceSeconds: number;
}

/** Reads `ASSAY_CHECKPOINT_SECONDS` and `ASSAY_GRACE_SECONDS`. */
export function readPodTimes(settings: Settings, graceSeconds: number): PodTimes {
  return {
    checkpointSeconds: settings.integer("ASSAY_CHECKPOINT_SECONDS", 30, [0, 86_400]),
    graceSeconds: settings.integer("ASSAY_GRACE_SECONDS", graceSeconds, [0, 86_400]),
  };
}

/** The arguments of the pod's command that say so. */
export function podTimeArguments({ checkpointSeconds, graceSeconds }: PodTimes): string[] {
  return ["--checkpoint-seconds", String(checkpointSeconds), "--grace-seconds", String(graceSeconds)];
}

/** Where pods are: one address, or a name that stands for as many as it resolves to. */
export type PodPlace = { readonly address: string } | { readonly name: string; readonly port: number };

const placeForm = /^(dns:)?([\w.-]+|\[[0-9a-fA-F:]+\]):(\d{1,5})$/;

/** Reads `ASSAY_PODS`: `host:port` or `dns:name:port`, several with commas between. */
export function readPodPlaces(settings: Settings): readonly PodPlace[] {
  const text = settings.required("ASSAY_PODS", "host:port of a pod, or dns:name:port");
  if (text === "") return [];
  return text.split(",").flatMap((part): PodPlace[] => {
    const [, dns, host = "", port = ""] = placeForm.exec(part.trim()) ?? [];
    if (host === "" || Number(port) < 1 || Number(port) > 65_535) {
      settings.fault("ASSAY_PODS", "host:port or dns:name:port, several with commas between", part.trim());
      return [];
    }
    return [dns === undefined ? { address: `${host}:${port}` } : { name: host, port: Number(port) }];
  });
}

/** Names of the variables that hold the files of a pod's or dispatcher's TLS; they are given together or not at all. */
export const podTlsFiles = ["ASSAY_POD_TLS_CA", "ASSAY_POD_TLS_CERT", "ASSAY_POD_TLS_KEY"] as const;

/** Reads the dispatcher's side; undefined for plain connections. */
export function readPodTls(settings: Settings, places: readonly PodPlace[]): PodTls | undefined {
  const serverName = settings.text("ASSAY_POD_TLS_NAME", "") || undefined;
  const isWanted = podTlsFiles.map((name) => settings.text(name, "") !== "");
  if (!isWanted.includes(true)) {
    if (serverName !== undefined) settings.fault("ASSAY_POD_TLS_NAME", `${podTlsFiles.join(", ")} beside it`, "none");
    return undefined;
  }
  for (const [i, name] of podTlsFiles.entries()) {
    if (isWanted[i] !== true) settings.fault(name, `${podTlsFiles.join(", ")} together`, "none");
  }
  if (serverName === undefined && places.some((place) => "name" in place)) {
    settings.fault("ASSAY_POD_TLS_NAME", "the name in the pods' certificates, for dns: gives bare addresses", "none");
  }
  const [ca, cert, key] = podTlsFiles.map((name) => settings.file(name));
  return ca === undefined || cert === undefined || key === undefined ? undefined : { ca, cert, key, serverName };
}
