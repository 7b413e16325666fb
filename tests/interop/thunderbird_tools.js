// What scripts that run inside Thunderbird have at hand: thunderbird.py puts this before each.
const { MailServices } = ChromeUtils.importESModule("resource:///modules/MailServices.sys.mjs");
const account = MailServices.accounts.accounts[0];
const server = account.incomingServer;
const root = server.rootFolder;

const named = path => path.split("/").reduce((folder, name) => folder.getChildNamed(name), root);
const folders = () => root.descendants.map(folder => decodeURI(folder.URI).split("@localhost/")[1]).sort();
const subjects = path => [...named(path).messages].map(header => header.mime2DecodedSubject).sort();
const message = (path, subject) =>
  [...named(path).messages].find(header => header.mime2DecodedSubject === subject);

// Wait for a true value of a condition.
const until = async condition => {
  for (let count = 0; count < 300; count++) {
    const value = condition();
    if (value) return value;
    await new Promise(resolve => setTimeout(resolve, 100));
  }
  throw new Error(`in vain: ${condition}`);
};

// Wait for the end of what is started with a listener: a command, a copy, or sending.
const LISTENERS = ["nsIUrlListener", "nsIMsgCopyServiceListener", "nsIMsgSendListener"];
const done = start =>
  new Promise((resolve, reject) => {
    const end = code => (code ? reject(new Error(code.toString(16))) : resolve());
    start({
      QueryInterface: ChromeUtils.generateQI(LISTENERS),
      OnStartRunningUrl() {},
      OnStopRunningUrl: (_url, code) => end(code),
      onStartCopy() {},
      onProgress() {},
      setMessageKey() {},
      getMessageId: () => null,
      onStopCopy: end,
      onStartSending() {},
      onSendProgress() {},
      onStatus() {},
      onSendNotPerformed: () => reject(new Error("not sent")),
      onGetDraftFolderURI() {},
      onTransportSecurityError() {},
      onStopSending: (_id, code) => end(code),
    });
  });

// Ask the server what is new in a folder. Nobody is told when it is known: it begins by itself, too.
const update = path => named(path).updateFolder(null);

// Download all messages of a folder, to read without a connection; it may be at that already by itself.
const BUSY = 0x8055000a;
const keep = path =>
  until(() => {
    const folder = named(path);
    if ([...folder.messages].every(header => header.flags & Ci.nsMsgMessageFlags.Offline)) return true;
    try {
      folder.downloadAllForOffline(null, null);
    } catch (error) {
      if (error.result !== BUSY) throw error;
    }
    return false;
  });

// The names of the parts of a message that are shown as attachments.
const attachments = (path, subject) => {
  const { MsgHdrToMimeMessage } = ChromeUtils.importESModule("resource:///modules/gloda/MimeMessage.sys.mjs");
  return new Promise(resolve =>
    MsgHdrToMimeMessage(
      message(path, subject),
      null,
      (_header, mime) => resolve(mime.allUserAttachments.map(part => part.name)),
      true,
      { partsOnDemand: true }
    )
  );
};

const copy = (from, subject, to, moves) =>
  done(listener =>
    MailServices.copy.copyMessages(named(from), [message(from, subject)], named(to), moves, listener, null, false)
  );

// The octets of a message, as a string of as many characters.
const octets = async (path, subject) => {
  const uri = named(path).getUriForMsg(message(path, subject));
  let whole = "";
  await new Promise((resolve, reject) =>
    MailServices.messageServiceFromURI(uri).streamMessage(
      uri,
      {
        QueryInterface: ChromeUtils.generateQI(["nsIStreamListener", "nsIRequestObserver"]),
        onStartRequest() {},
        onDataAvailable(_request, stream, _offset, count) {
          const input = Cc["@mozilla.org/binaryinputstream;1"].createInstance(Ci.nsIBinaryInputStream);
          input.setInputStream(stream);
          whole += input.readBytes(count);
        },
        onStopRequest: (_request, code) => (code ? reject(new Error(code.toString(16))) : resolve()),
      },
      null, null, false, "", false
    )
  );
  return whole;
};

// Let the server search a folder.
const search = async (path, attribute, value) => {
  const session = Cc["@mozilla.org/messenger/searchSession;1"].createInstance(Ci.nsIMsgSearchSession);
  const term = session.createTerm();
  term.attrib = Ci.nsMsgSearchAttrib[attribute];
  term.op = Ci.nsMsgSearchOp.Contains;
  const wanted = term.value;
  wanted.attrib = term.attrib;
  wanted.str = value;
  term.value = wanted;
  term.booleanAnd = true;
  session.addScopeTerm(Ci.nsMsgSearchScope.onlineMail, named(path));
  session.appendTerm(term);
  const found = [];
  await new Promise((resolve, reject) => {
    session.registerListener({
      QueryInterface: ChromeUtils.generateQI(["nsIMsgSearchNotify"]),
      onSearchHit: header => found.push(header.mime2DecodedSubject),
      onSearchDone: code => (code ? reject(new Error(code.toString(16))) : resolve()),
      onNewSearch() {},
    });
    session.search(null);
  });
  return found.sort();
};

// Write a message as the compose window does; *mode* is a constant of nsIMsgSend.
const compose = (mode, to, subject, text) => {
  const fields = Cc["@mozilla.org/messengercompose/composefields;1"].createInstance(Ci.nsIMsgCompFields);
  const identity = account.defaultIdentity;
  Object.assign(fields, { from: identity.email, to, subject, fcc: identity.fccFolderURI });
  return done(listener =>
    Cc["@mozilla.org/messengercompose/send;1"]
      .createInstance(Ci.nsIMsgSend)
      .createAndSendMessage(
        null, identity, account.key, fields, false, false, Ci.nsIMsgSend[mode], null, "text/plain", text,
        null, null, listener, "", "", Ci.nsIMsgCompType.New
      )
  );
};
