// Usage: node upload.mjs URL CONTENT_TYPE. Prints `status count` of 20 requests with bodies of 4 to 8 MB, or the error instead of a status.
const [url, type] = process.argv.slice(2);
const counts = {};
for (let n = 0; n < 20; n++) {
  const body = Buffer.alloc((4 + (n % 5)) * 1024 * 1024, 'x');
  const headers = { 'Content-Type': type };
  const outcome = await fetch(url, { method: 'POST', headers, body })
    .then(async (response) => { await response.text(); return response.status; })
    .catch((error) => error.cause?.code ?? error.message);
  counts[outcome] = (counts[outcome] ?? 0) + 1;
}
for (const [outcome, count] of Object.entries(counts)) console.log(`${outcome} ${count}`);
