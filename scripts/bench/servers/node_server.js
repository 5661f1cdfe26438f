// The same servers on node: `node_server.js SERVICE PORT [FILE | UPSTREAM]`,
// with BENCH_CERT and BENCH_KEY in the environment for TLS. Writes are
// gathered: the socket is corked while an event is dealt with.
'use strict';
const fs = require('fs');
const net = require('net');
const tls = require('tls');

const [service, port, argument] = process.argv.slice(2);
const MIB = 1 << 20, BLOCK = 65536, BLOCKS = 1024, TAIL = 64;

// Feeds split(data, at), which says where the message ends, or −1.
function messages(socket, split) {
  let rest = null;
  socket.on('data', (data) => {
    if (rest) data = Buffer.concat([rest, data]);
    let at = 0, end;
    socket.cork();
    while ((end = split(data, at)) >= 0) {
      socket.write(data.subarray(at, end));
      at = end;
    }
    socket.uncork();
    rest = at < data.length ? data.subarray(at) : null;
  });
}

const services = {
  lines(socket) {
    messages(socket, (data, at) => {
      const newline = data.indexOf(10, at);
      return newline < 0 ? -1 : newline + 1;
    });
  },

  frames(socket) {
    messages(socket, (data, at) => {
      if (data.length - at < 4) return -1;
      const end = at + 4 + data.readUInt32BE(at);
      return end <= data.length ? end : -1;
    });
  },

  bulk(socket) {
    let parts = [], have = 0, blocks = 0;
    socket.on('data', (data) => {
      parts.push(data);
      have += data.length;
      if (have < BLOCK) return;
      let joined = Buffer.concat(parts);
      while (joined.length >= BLOCK) {
        const block = joined.subarray(0, BLOCK);
        joined = joined.subarray(BLOCK);
        if (++blocks % BLOCKS === 0) socket.write(block.subarray(-TAIL));
      }
      parts = joined.length ? [joined] : [];
      have = joined.length;
    });
  },

  until(socket) {
    let parts = [], size = 0, last = Buffer.alloc(0);
    socket.on('data', (data) => {
      parts.push(data);
      size += data.length;
      const found = data.includes('\r\n') ||
        (data[0] === 10 && last[last.length - 1] === 13);
      last = data;
      if (!found) return;
      const all = Buffer.concat(parts);
      socket.write(Buffer.concat([Buffer.from(`${size} `),
        all.subarray(-TAIL)]));
      parts = [];
      size = 0;
    });
  },

  source(socket) {
    const payload = fs.readFileSync(argument).subarray(0, MIB);
    let left = 0;
    const send = () => {
      while (left > 0) {
        const at = (16 - left % 16) % 16 * BLOCK;
        left--;
        if (!socket.write(payload.subarray(at, at + BLOCK))) {
          socket.once('drain', send);
          return;
        }
      }
    };
    socket.on('data', (line) => {
      left = parseInt(line.toString(), 10) * 16;
      send();
    });
  },

  file(socket) {
    socket.on('data', () => {
      fs.createReadStream(argument, {highWaterMark: BLOCK})
        .pipe(socket, {end: false});
    });
  },

  proxy(socket) {
    const upstream = net.connect(+argument, '127.0.0.1');
    upstream.on('error', () => socket.destroy());
    socket.on('error', () => upstream.destroy());
    socket.pipe(upstream).pipe(socket);
  },
};

function serve(socket) {
  socket.on('error', () => {});
  socket.setNoDelay(true);
  services[service](socket);
}

const options = {backlog: 4096, host: '127.0.0.1', port: +port};
const server = process.env.BENCH_CERT
  ? tls.createServer({cert: fs.readFileSync(process.env.BENCH_CERT),
                      key: fs.readFileSync(process.env.BENCH_KEY)}, serve)
  : net.createServer(serve);
server.listen(options);
