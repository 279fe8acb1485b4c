/**
 * Builds what the package ships: the studio's page in pieces, one file for notebooks, one for reports.
 *
 *   node build.js [--out FOLDER]
 *
 * The same sources give the same bytes. `sources.json` beside the built files says of which sources they were made.
 */

import { createHash } from "node:crypto";
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, relative, resolve, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { svelte } from "@sveltejs/vite-plugin-svelte";
import { build } from "vite";

const web = dirname(fileURLToPath(import.meta.url));
const { values: options } = parseArgs({ options: { out: { type: "string" } } });
const out = resolve(options.out ?? join(web, "../src/opsin/reporting/static"));

/** Everything that the built files depend on: see `opsin.reporting.static`, which computes the same. */
const ROOTS = ["src", "build.js", "package.json", "package-lock.json", "svelte.config.js", "tsconfig.json"];

function files(path) {
  const entries = readdirSync(path, { withFileTypes: true });
  return entries.flatMap((entry) => (entry.isDirectory() ? files(join(path, entry.name)) : [join(path, entry.name)]));
}

function digest() {
  const paths = ROOTS.flatMap((root) => (root === "src" ? files(join(web, root)) : [join(web, root)]));
  const names = paths.map((path) => relative(web, path).split(sep).join("/")).sort();
  const hash = createHash("sha256");
  for (const name of names) {
    const content = createHash("sha256").update(readFileSync(join(web, name))).digest("hex");
    hash.update(`${name} ${content}\n`);
  }
  return hash.digest("hex");
}

/** The style sheet of a build as a text in its script, where the sources say `OPSIN_STYLE`. */
function styleInScript() {
  return {
    name: "style-in-script",
    enforce: "post",
    generateBundle(_options, bundle) {
      const sheets = Object.values(bundle).filter((item) => item.type === "asset" && item.fileName.endsWith(".css"));
      const style = JSON.stringify(sheets.map((sheet) => String(sheet.source)).join("\n"));
      for (const sheet of sheets) delete bundle[sheet.fileName];
      for (const item of Object.values(bundle)) {
        if (item.type === "chunk") item.code = item.code.replaceAll("OPSIN_STYLE", () => style);
      }
    },
  };
}

const common = { root: web, configFile: false, logLevel: "warn" };
const target = ["chrome111", "firefox114", "safari16.4"];

async function buildStudio() {
  await build({
    ...common,
    root: join(web, "src/hosts/studio"),
    plugins: [svelte({ configFile: join(web, "svelte.config.js") })],
    // the page is served at the studio's root, its files below static/, both perhaps below a prefix of a proxy
    experimental: { renderBuiltUrl: (name, { hostType }) => (hostType === "html" ? `static/${name}` : { relative: true }) },
    build: {
      target,
      outDir: out,
      emptyOutDir: true,
      assetsInlineLimit: 0,
      modulePreload: { polyfill: false },
      rolldownOptions: { input: join(web, "src/hosts/studio/studio.html") },
    },
  });
}

async function buildOneFile(host, name) {
  await build({
    ...common,
    plugins: [svelte({ configFile: join(web, "svelte.config.js") }), styleInScript()],
    build: {
      target,
      outDir: out,
      emptyOutDir: false,
      cssCodeSplit: false,
      lib: { entry: join(web, `src/hosts/${host}/main.ts`), formats: ["es"], fileName: () => name },
      rolldownOptions: { output: { codeSplitting: false, minify: true } },
    },
  });
}

rmSync(join(out, "sources.json"), { force: true });
await buildStudio();
await buildOneFile("notebook", "widget.js");
await buildOneFile("report", "report.js");
writeFileSync(join(out, "sources.json"), `${JSON.stringify({ sha256: digest() })}\n`);
