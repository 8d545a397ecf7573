/**
 * Lets Lighthouse judge login, list and an escrow's page as on a middling phone with a slow line, and
 * prints a table. `make lighthouse` runs it. Usage:
 *
 *     node run.mjs http://127.0.0.1:8000 [folder for the reports]
 *
 * It logs in by the demo's login as asha, who needs an escrow. Chromium is found on the PATH, or named
 * by CHROMIUM. Exits with 1 if a page is below GOALS. A busy machine makes pages seem slower.
 */
import { accessSync, constants, mkdirSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import lighthouse from 'lighthouse';
import puppeteer from 'puppeteer-core';

const USER = 'asha';
const TOKEN_KEY = 'holdfast.token';
const CATEGORIES = ['performance', 'accessibility'];
const GOALS = {
  login: { performance: 90, accessibility: 100 },
  list: { performance: 90, accessibility: 100 },
  escrow: { accessibility: 100 },
};
const FIGURES = {
  FCP: 'first-contentful-paint',
  LCP: 'largest-contentful-paint',
  TBT: 'total-blocking-time',
  CLS: 'cumulative-layout-shift',
  weight: 'total-byte-weight',
};
const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];

function chromium() {
  const folders = (process.env.PATH ?? '').split(delimiter);
  const places = NAMES.flatMap((name) => folders.map((folder) => join(folder, name)));
  const found = process.env.CHROMIUM ?? places.find(isExecutable);
  if (!found) throw new Error('no Chromium found: apt-get install chromium, or set CHROMIUM to its path');
  return found;
}

function isExecutable(path) {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

async function ask(url, path, { token, ...options } = {}) {
  const headers = { 'content-type': 'application/json' };
  if (token) headers.authorization = `Bearer ${token}`;
  const answer = await fetch(new URL(path, url), { ...options, headers });
  if (!answer.ok) throw new Error(`${path} answered ${answer.status}: ${await answer.text()}`);
  return answer.json();
}

async function pages(url) {
  const body = JSON.stringify({ user_id: USER, roles: ['user'] });
  const { token } = await ask(url, '/api/v1/demo/token', { method: 'POST', body });
  const { escrows } = await ask(url, '/api/v1/escrows', { token });
  if (!escrows?.length) throw new Error(`${USER} has no escrow: start the stack with DEMO_DATA=1`);
  return [
    { name: 'login', path: '/' },
    { name: 'list', path: '/', token },
    { name: 'escrow', path: `/escrows/${escrows[0].escrow_id}`, token },
  ];
}

async function judge(browser, url, { path, token }) {
  const context = await browser.createBrowserContext();
  const page = await context.newPage();
  if (token) await page.evaluateOnNewDocument((key, it) => sessionStorage.setItem(key, it), TOKEN_KEY, token);
  const flags = { onlyCategories: CATEGORIES, output: 'html', logLevel: 'error' };
  const result = await lighthouse(new URL(path, url).href, flags, undefined, page);
  await context.close();
  const failed = result.lhr.runtimeError ?? Object.values(result.lhr.audits).find((one) => one.errorMessage);
  if (failed) console.error(`${path}: ${failed.errorMessage ?? failed.message}`);
  return result;
}

function row({ name }, { categories, audits }) {
  const scores = CATEGORIES.map((one) => [one, Math.round((categories[one].score ?? 0) * 100)]);
  const figures = Object.entries(FIGURES).map(([short, id]) => [short, audits[id].displayValue]);
  return { page: name, ...Object.fromEntries([...scores, ...figures]) };
}

/** What costs accessibility its points, one line for each audit. */
function faults({ categories, audits }) {
  return categories.accessibility.auditRefs
    .filter(({ id, weight }) => weight > 0 && audits[id].score !== null && audits[id].score < 1)
    .map(({ id }) => `${id}: ${audits[id].title}`);
}

async function main(url, folder) {
  const browser = await puppeteer.launch({ executablePath: chromium(), args: ['--no-sandbox'] });
  const rows = [];
  try {
    for (const one of await pages(url)) {
      const { lhr, report } = await judge(browser, url, one);
      rows.push(row(one, lhr));
      for (const line of faults(lhr)) console.log(`${one.name}: ${line}`);
      if (folder) {
        mkdirSync(folder, { recursive: true });
        writeFileSync(join(folder, `${one.name}.html`), report);
      }
    }
  } finally {
    await browser.close();
  }
  console.table(rows);
  const short = rows.filter((one) => CATEGORIES.some((category) => one[category] < (GOALS[one.page][category] ?? 0)));
  if (short.length > 0) {
    console.error(`below the goal: ${short.map((one) => one.page).join(', ')}`);
    process.exitCode = 1;
  }
}

const [url, folder] = process.argv.slice(2);
if (!url) throw new Error('usage: node run.mjs http://127.0.0.1:8000 [folder for the reports]');
await main(url, folder);
