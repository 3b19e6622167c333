// Gives package-lock.json an entry for every optional package of another platform. A registry mirror may lack those, and then
// `npm install` leaves them out of the lock and `npm ci` refuses it. Such an entry has a version and no hash: the package is
// never installed on the platforms whose hashes the lock holds. Run it after `npm install`; --check only says what is missing.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "./toolbox.mjs";

const file = join(root, "package-lock.json");
const lock = JSON.parse(readFileSync(file, "utf8"));
const { packages } = lock;

const systems = ["darwin", "linux", "win32", "android", "freebsd", "openbsd", "netbsd", "sunos", "aix", "openharmony"];
const processors = {
  arm64: "arm64",
  x64: "x64",
  ia32: "ia32",
  arm: "arm",
  armv7: "arm",
  ppc64: "ppc64",
  ppc64le: "ppc64",
};
const otherProcessors = ["riscv64", "s390x", "loong64", "mips64el", "wasm32"];

/** What npm would note: the platform stands in the package's name. */
function entryFor(name, version, isDev) {
  const words = name.split(/[-/]/);
  const system = words.find((word) => systems.includes(word));
  const processor =
    processors[words.find((word) => word in processors)] ?? words.find((word) => otherProcessors.includes(word));
  const isMusl = words.some((word) => word.startsWith("musl"));
  return {
    version,
    ...(processor ? { cpu: [processor] } : {}),
    ...(isDev ? { dev: true } : {}),
    ...(isMusl ? { libc: ["musl"] } : {}),
    optional: true,
    ...(system ? { os: [system] } : {}),
  };
}

const missing = {};
for (const { dev, optionalDependencies = {} } of Object.values(packages)) {
  for (const [name, version] of Object.entries(optionalDependencies)) {
    const place = `node_modules/${name}`;
    const isExact = /^\d+\.\d+\.\d+(-[\w.]+)?$/.test(version);
    if (packages[place] === undefined && isExact) missing[place] = entryFor(name, version, dev === true);
  }
}

const names = Object.keys(missing).sort();
if (process.argv.includes("--check")) {
  if (names.length > 0) {
    process.stderr.write(`package-lock.json lacks ${names.join(", ")}; run "node scripts/complete-lock.mjs"\n`);
    process.exitCode = 1;
  }
} else {
  const own = packages[""];
  const rest = Object.entries({ ...packages, ...missing }).filter(([place]) => place !== "");
  rest.sort(([a], [b]) => a.localeCompare(b, "en"));
  lock.packages = { "": own, ...Object.fromEntries(rest) };
  writeFileSync(file, `${JSON.stringify(lock, null, 2)}\n`);
  process.stdout.write(`${names.length} entries added\n`);
}
