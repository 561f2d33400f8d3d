// Starts a Node server on the port in PORT (0: any free one) and says which it got, in the one line tests/servers/run waits for.
export function listen(server) {
  server.listen(Number(process.env.PORT ?? 0), '127.0.0.1', () => {
    console.log(`listening 127.0.0.1:${server.address().port}`);
  });
  process.on('SIGTERM', () => process.exit(0));
}

const { MISTAKE = '' } = process.env;
const LEAKS = 10;
let messages = 0;

// What is wrong with the next message relayed, by MISTAKE: every tenth is `lost`, or a `leak`. Leaks end after ten, so that the
// last is long past when the run ends: a copy leaked to a client that is closing is nobody's to count.
export function slip() {
  const tenth = ++messages % 10 === 0;
  const wrong = tenth && (MISTAKE === 'lost' || (MISTAKE === 'leak' && messages <= 10 * LEAKS));
  return { lost: wrong && MISTAKE === 'lost', leak: wrong && MISTAKE === 'leak' };
}

// Tells tests/servers/run how many copies a mistake has cost or leaked.
export function seeded(copies) {
  console.log(`seeded ${MISTAKE} ${copies}`);
}
