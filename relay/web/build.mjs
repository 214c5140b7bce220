// Builds the relay's pages into dist/: each page of pages/ with its script and style under content-hashed names.
//
// A page names its files as {{script}} and {{style}}; {{icon}} is the icon; any other word is a part of pages/parts/. What is in dist/assets/ never changes
// under its name, so it may be cached for ever; the pages themselves must be asked for each time.
// With --tests it bundles tests/*.test.ts into .tests/ for node's own test runner instead.

import { build } from "esbuild";
import { createHash } from "node:crypto";
import { mkdir, readFile, readdir, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";

const here = path.dirname(fileURLToPath(import.meta.url));
const at = (...parts) => path.join(here, ...parts);

async function buildTests() {
  await rm(at(".tests"), { recursive: true, force: true });
  const tests = (await readdir(at("tests"))).filter((name) => name.endsWith(".test.ts"));
  await build({
    entryPoints: tests.map((name) => at("tests", name)),
    outdir: at(".tests"),
    outExtension: { ".js": ".mjs" },
    bundle: true,
    format: "esm",
    platform: "node",
    target: "node18",
    sourcemap: "inline",
    logLevel: "warning",
  });
}

async function buildPages() {
  await rm(at("dist"), { recursive: true, force: true });
  await mkdir(at("dist", "assets"), { recursive: true });
  const pages = (await readdir(at("pages"))).filter((name) => name.endsWith(".html")).sort();
  const names = pages.map((name) => path.basename(name, ".html"));

  const { metafile } = await build({
    absWorkingDir: here,
    entryPoints: [
      ...names.map((name) => ({ in: `src/${name}.ts`, out: name })),
      ...names.map((name) => ({ in: `style/${name}.css`, out: name })),
    ],
    outdir: "dist/assets",
    entryNames: "[name]-[hash]",
    chunkNames: "[name]-[hash]",
    bundle: true,
    splitting: true,
    format: "esm",
    minify: true,
    metafile: true,
    legalComments: "eof",
    target: ["chrome100", "firefox100", "safari15.4"],
    logLevel: "warning",
  });

  const built = new Map();
  for (const [file, output] of Object.entries(metafile.outputs)) {
    if (output.entryPoint) built.set(output.entryPoint, `/assets/${path.basename(file)}`);
  }

  const icon = await readFile(at("pages", "icon.svg"));
  const iconName = `icon-${createHash("sha256").update(icon).digest("hex").slice(0, 8).toUpperCase()}.svg`;
  await writeFile(at("dist", "assets", iconName), icon);

  const parts = await readParts();
  for (const name of names) {
    const words = {
      ...parts,
      script: built.get(`src/${name}.ts`),
      style: built.get(`style/${name}.css`),
      icon: `/assets/${iconName}`,
    };
    const page = await readFile(at("pages", `${name}.html`), "utf8");
    await writeFile(at("dist", `${name}.html`), fill(page, words, name));
  }
}

/** The pieces that several pages share, by name. */
async function readParts() {
  const files = await readdir(at("pages", "parts"));
  const read = async (file) => [path.basename(file, ".html"), await readFile(at("pages", "parts", file), "utf8")];
  return Object.fromEntries(await Promise.all(files.map(read)));
}

/** Puts words in their places; a part may have places itself. */
function fill(text, words, page) {
  return text.replace(/\{\{(\w+)\}\}/g, (_, word) => {
    if (!words[word]) throw new Error(`${page}.html asks for {{${word}}}, which was not built`);
    return fill(words[word], words, page).trimEnd();
  });
}

await (process.argv.includes("--tests") ? buildTests() : buildPages());
