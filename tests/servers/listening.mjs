// Starts a Node server on the port in PORT (0: any free one) and says which it got, in the one line tests/servers/run waits for.
export function listen(server) {
  server.listen(Number(process.env.PORT ?? 0), '127.0.0.1', () => {
    console.log(`listening 127.0.0.1:${server.address().port}`);
  });
  process.on('SIGTERM', () => process.exit(0));
}
