// A day with imapflow: node imapflow.js; says on standard output what it found, as JSON.
const assert = require('node:assert');
const { ImapFlow } = require('imapflow');

const settings = {
  host: 'localhost',
  port: Number(process.env.PORT_IMAPS),
  secure: true,
  auth: { user: process.env.MAIL_USER, pass: process.env.MAIL_PASSWORD },
  logger: false,
};

const letter = (subject) =>
  [
    'From: "Алиса" <alice@example.test>',
    'To: bob@example.test',
    `Subject: ${subject}`,
    'Message-ID: <imapflow@example.test>',
    'MIME-Version: 1.0',
    'Content-Type: multipart/mixed; boundary="b"',
    '',
    '--b',
    'Content-Type: text/plain; charset=utf-8',
    'Content-Transfer-Encoding: quoted-printable',
    '',
    'Gr=C3=BC=C3=9Fe',
    '--b',
    'Content-Type: application/octet-stream; name=all.bin',
    'Content-Transfer-Encoding: base64',
    'Content-Disposition: attachment; filename=all.bin',
    '',
    Buffer.from([...Array(256).keys()]).toString('base64'),
    '--b--',
    '',
  ].join('\r\n');

const whole = async (stream) => {
  const pieces = [];
  for await (const piece of stream) pieces.push(piece);
  return Buffer.concat(pieces);
};

async function mailboxes(client) {
  const uses = Object.fromEntries((await client.list()).map((box) => [box.path, box.specialUse]));
  assert.deepStrictEqual(uses, {
    INBOX: '\\Inbox',
    Archive: '\\Archive',
    Drafts: '\\Drafts',
    Junk: '\\Junk',
    Sent: '\\Sent',
    Trash: '\\Trash',
  });
  assert.strictEqual((await client.mailboxCreate(['Käse & Brot', '日本'])).path, 'Käse & Brot/日本');
  assert.strictEqual((await client.mailboxRename('Käse & Brot', 'Käse')).newPath, 'Käse');
  assert((await client.list()).some((box) => box.path === 'Käse/日本'));
  await client.mailboxDelete('Käse/日本');
  assert(!(await client.list()).some((box) => box.path === 'Käse/日本'));
}

async function messages(client) {
  const date = new Date('2023-11-14T22:13:20Z');
  const added = await client.append('INBOX', letter('first'), ['\\Seen', 'mine'], date);
  const lock = await client.getMailboxLock('INBOX');
  try {
    assert.strictEqual(client.mailbox.uidValidity, added.uidValidity);
    const wanted = {
      uid: true, flags: true, envelope: true, bodyStructure: true, source: true, internalDate: true, size: true,
      threadId: true, labels: true, headers: ['subject'],
    };
    const found = await client.fetchOne(String(added.uid), wanted, { uid: true });
    assert.strictEqual(found.source.toString(), letter('first'));
    assert.strictEqual(found.size, found.source.length);
    assert.deepStrictEqual([...found.flags].sort(), ['\\Seen', 'mine']);
    assert.strictEqual(found.internalDate.getTime(), date.getTime());
    assert.strictEqual(found.envelope.from[0].name, 'Алиса');
    assert.strictEqual(found.envelope.messageId, '<imapflow@example.test>');
    assert.strictEqual(found.headers.toString(), 'Subject: first\r\n\r\n');
    assert.deepStrictEqual(
      found.bodyStructure.childNodes.map((part) => [part.part, part.type, part.encoding]),
      [['1', 'text/plain', 'quoted-printable'], ['2', 'application/octet-stream', 'base64']]
    );
    assert(found.emailId);

    const text = await client.download(String(added.uid), '1', { uid: true });
    assert.strictEqual((await whole(text.content)).toString().trim(), 'Grüße');
    const { meta, content } = await client.download(String(added.uid), '2', { uid: true });
    assert.strictEqual(meta.filename, 'all.bin');
    assert.deepStrictEqual([...(await whole(content))], [...Array(256).keys()]);

    assert.deepStrictEqual(await client.search({ subject: 'first', seen: true }, { uid: true }), [added.uid]);
    assert.deepStrictEqual(await client.search({ body: 'Grüße' }, { uid: true }), [added.uid]);
    assert.deepStrictEqual(await client.search({ or: [{ flagged: true }, { keyword: 'other' }] }), []);
    assert.deepStrictEqual(await client.search({ emailId: found.emailId }, { uid: true }), [added.uid]);

    const only = String(added.uid);
    assert(await client.messageFlagsAdd(only, ['\\Flagged'], { uid: true }));
    assert(await client.messageFlagsRemove(only, ['\\Seen'], { uid: true }));
    const flagged = await client.fetchOne(only, { flags: true }, { uid: true });
    assert.deepStrictEqual([...flagged.flags].sort(), ['\\Flagged', 'mine']);
    assert(flagged.modseq > found.modseq);

    const copied = await client.messageCopy(only, 'Archive', { uid: true });
    assert.strictEqual(copied.uidMap.size, 1);
    const moved = await client.messageMove(only, 'Junk', { uid: true });
    assert.deepStrictEqual([...moved.uidMap.keys()], [added.uid]);
    assert.strictEqual(client.mailbox.exists, 0);
  } finally {
    lock.release();
  }
  const there = await client.status('Archive', { messages: true, uidNext: true, highestModseq: true });
  assert.strictEqual(there.messages, 1);
  const archive = await client.getMailboxLock('Archive');
  try {
    assert(await client.messageDelete('1:*'));
    assert.strictEqual(client.mailbox.exists, 0);
  } finally {
    archive.release();
  }
}

async function idling(client) {
  const other = new ImapFlow(settings);
  await other.connect();
  await client.mailboxOpen('INBOX');
  const heard = new Promise((resolve) => client.once('exists', resolve));
  const idle = client.idle();
  await other.append('INBOX', letter('news'), []);
  const { path, count, prevCount } = await heard;
  assert.deepStrictEqual([path, count, prevCount], ['INBOX', 1, 0]);
  const flagged = new Promise((resolve) => client.once('flags', resolve));
  const again = client.idle();
  await other.mailboxOpen('INBOX');
  await other.messageFlagsAdd('1', ['\\Answered']);
  assert((await flagged).flags.has('\\Answered'));
  const expunged = new Promise((resolve) => client.once('expunge', resolve));
  const last = client.idle();
  await other.messageDelete('1');
  assert.strictEqual((await expunged).path, 'INBOX');
  await other.logout();
  await client.noop();
  await Promise.all([idle, again, last]);
}

async function main() {
  const client = new ImapFlow({ ...settings, qresync: true });
  await client.connect();
  await mailboxes(client);
  await messages(client);
  await idling(client);
  const quota = await client.getQuota('INBOX');
  console.log(JSON.stringify({ enabled: [...client.enabled].sort(), quota: Boolean(quota) }));
  await client.logout();
}

main().catch((error) => {
  console.error(error.stack, error.responseText, error.response);
  process.exit(1);
});
