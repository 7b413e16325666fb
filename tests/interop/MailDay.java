// A day with JavaMail, over IMAP and POP3: java -cp javax.mail.jar:javax.activation.jar MailDay.java

import com.sun.mail.imap.AppendUID;
import com.sun.mail.imap.IMAPFolder;
import com.sun.mail.imap.IMAPMessage;
import com.sun.mail.imap.IMAPStore;
import com.sun.mail.imap.ResyncData;
import com.sun.mail.imap.SortTerm;
import java.io.InputStream;
import java.util.Arrays;
import java.util.Date;
import java.util.Properties;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import javax.mail.*;
import javax.mail.event.MessageCountAdapter;
import javax.mail.event.MessageCountEvent;
import javax.mail.internet.*;
import javax.mail.search.*;

class MailDay {
    static final Date DATE = new Date(1700000000000L);
    static final byte[] OCTETS = new byte[256];

    static void check(boolean right, Object what) {
        if (!right) throw new AssertionError(what);
    }

    static Store open(String protocol, boolean startTls) throws Exception {
        Properties settings = new Properties();
        String name = startTls ? protocol : protocol + "s";
        settings.put("mail." + name + ".ssl.checkserveridentity", "true");
        settings.put("mail." + name + ".starttls.required", Boolean.toString(startTls));
        settings.put("mail." + name + ".starttls.enable", Boolean.toString(startTls));
        settings.put("mail." + name + ".compress.enable", Boolean.toString(startTls));
        Store store = Session.getInstance(settings).getStore(name);
        int port = Integer.parseInt(System.getenv("PORT_" + name.toUpperCase()));
        store.connect("localhost", port, System.getenv("MAIL_USER"), System.getenv("MAIL_PASSWORD"));
        return store;
    }

    static MimeMessage letter(String subject) throws Exception {
        MimeMessage message = new MimeMessage(Session.getInstance(new Properties()));
        message.setFrom(new InternetAddress("alice@example.test", "Алиса", "utf-8"));
        message.setRecipients(Message.RecipientType.TO, "bob@example.test");
        message.setSubject(subject, "utf-8");
        message.setSentDate(DATE);
        MimeBodyPart text = new MimeBodyPart();
        text.setText("Grüße\r\n", "utf-8");
        MimeBodyPart file = new MimeBodyPart();
        file.setFileName("日本.bin");
        file.setDataHandler(new javax.activation.DataHandler(
            new javax.mail.util.ByteArrayDataSource(OCTETS, "application/octet-stream")));
        message.setContent(new MimeMultipart(text, file));
        message.saveChanges();
        return message;
    }

    static void folders(Store store) throws Exception {
        Folder made = store.getFolder("Käse & Brot/日本");
        check(made.create(Folder.HOLDS_MESSAGES), "create");
        made.setSubscribed(true);
        check(store.getFolder("Käse & Brot").renameTo(store.getFolder("Käse")), "rename");
        Folder renamed = store.getFolder("Käse/日本");
        check(renamed.exists() && !made.exists(), "renamed");
        Folder[] all = store.getDefaultFolder().list("*");
        String[] names = Arrays.stream(all).map(Folder::getFullName).sorted().toArray(String[]::new);
        String[] wanted = {"Archive", "Drafts", "INBOX", "Junk", "Käse", "Käse/日本", "Sent", "Trash"};
        check(Arrays.equals(names, wanted), Arrays.toString(names));
        String[] sent = ((IMAPFolder) store.getFolder("Sent")).getAttributes();
        check(Arrays.asList(sent).contains("\\Sent"), "special use");
        check(renamed.delete(false) && store.getFolder("Käse").delete(true), "delete");
        check(store.getPersonalNamespaces().length == 1, "namespace");
    }

    static void messages(IMAPStore store) throws Exception {
        IMAPFolder inbox = (IMAPFolder) store.getFolder("INBOX");
        Message[] letters = {letter("first"), letter("zweite"), letter("third")};
        AppendUID[] added = inbox.appendUIDMessages(letters);
        inbox.open(Folder.READ_WRITE);
        check(added[2].uid == 3 && added[0].uidvalidity == inbox.getUIDValidity(), "APPENDUID");
        Message[] all = inbox.getMessages();
        FetchProfile profile = new FetchProfile();
        profile.add(FetchProfile.Item.ENVELOPE);
        profile.add(FetchProfile.Item.CONTENT_INFO);
        profile.add(FetchProfile.Item.FLAGS);
        profile.add(UIDFolder.FetchProfileItem.UID);
        profile.add(IMAPFolder.FetchProfileItem.MESSAGE);
        inbox.fetch(all, profile);
        IMAPMessage first = (IMAPMessage) all[0];
        check(first.getSubject().equals("first"), first.getSubject());
        check(((InternetAddress) first.getFrom()[0]).getPersonal().equals("Алиса"), "From");
        check(first.getReceivedDate().equals(DATE), first.getReceivedDate());
        BodyPart file = ((Multipart) all[1].getContent()).getBodyPart(1);
        check(MimeUtility.decodeText(file.getFileName()).equals("日本.bin"), file.getFileName());
        try (InputStream content = file.getInputStream()) {
            check(Arrays.equals(content.readAllBytes(), OCTETS), "attachment");
        }
        check(((Multipart) all[1].getContent()).getBodyPart(0).getContent().equals("Grüße\r\n"), "text");

        // It enables UTF8=ACCEPT by itself and then sends ü as an octet of Latin-1: it can search for ASCII only.
        SearchTerm term = new AndTerm(new SubjectTerm("zweite"), new BodyTerm("gr"));
        check(inbox.search(term).length == 1 && inbox.search(new NotTerm(term)).length == 2, "search");
        check(inbox.search(new ReceivedDateTerm(ComparisonTerm.GT, DATE)).length == 0, "search by date");
        Message[] sorted = inbox.getSortedMessages(new SortTerm[] {SortTerm.REVERSE, SortTerm.SUBJECT});
        check(sorted[0] == all[1] && sorted[2] == all[0], "sort");

        Flags flags = new Flags(Flags.Flag.FLAGGED);
        flags.add("mine");
        inbox.setFlags(all, flags, true);
        first.setFlag(Flags.Flag.FLAGGED, false);
        check(inbox.search(new FlagTerm(flags, true)).length == 2, "flags");
        check(first.getModSeq() > 0 && inbox.getHighestModSeq() >= first.getModSeq(), "MODSEQ");

        IMAPFolder archive = (IMAPFolder) store.getFolder("Archive");
        AppendUID[] copied = inbox.copyUIDMessages(new Message[] {all[0], all[2]}, archive);
        check(copied[0].uid == 1 && copied[1].uid == 2, "COPYUID");
        inbox.moveMessages(new Message[] {all[1]}, store.getFolder("Junk"));
        check(store.getFolder("Junk").getMessageCount() == 1, "move");
        all[0].setFlag(Flags.Flag.DELETED, true);
        check(inbox.expunge().length == 2 && inbox.getMessageCount() == 1, "expunged, and moved before");
        check(store.getQuota("INBOX").length == 0, "no limit");
        long validity = inbox.getUIDValidity(), known = inbox.getHighestModSeq();
        inbox.close(false);
        third(inbox, validity, known);
    }

    static void third(IMAPFolder inbox, long validity, long known) throws Exception {
        inbox.open(Folder.READ_ONLY, new ResyncData(validity, known));
        check(inbox.getMessageCount() == 1 && inbox.getMessage(1).getSubject().equals("third"), "QRESYNC");
        inbox.close(false);
    }

    static void idle(Store store) throws Exception {
        IMAPFolder inbox = (IMAPFolder) store.getFolder("INBOX");
        inbox.open(Folder.READ_ONLY);
        CompletableFuture<String> heard = new CompletableFuture<>();
        inbox.addMessageCountListener(new MessageCountAdapter() {
            @Override
            public void messagesAdded(MessageCountEvent event) {
                try {
                    heard.complete(event.getMessages()[0].getSubject());
                } catch (MessagingException error) {
                    heard.completeExceptionally(error);
                }
            }
        });
        Thread idling = new Thread(() -> {
            try {
                inbox.idle(true);
            } catch (MessagingException error) {
                heard.completeExceptionally(error);
            }
        });
        idling.start();
        try (Store other = open("imap", true)) {
            other.getFolder("INBOX").appendMessages(new Message[] {letter("news")});
        }
        check(heard.get(30, TimeUnit.SECONDS).equals("news"), heard);
        idling.join(30_000);
        inbox.close(false);
    }

    static void pop3(boolean startTls) throws Exception {
        try (Store store = open("pop3", startTls)) {
            Folder inbox = store.getFolder("INBOX");
            inbox.open(Folder.READ_WRITE);
            Message last = inbox.getMessage(inbox.getMessageCount());
            check(last.getSubject().equals(startTls ? "third" : "news"), last.getSubject());
            check(((com.sun.mail.pop3.POP3Folder) inbox).getUID(last) != null, "UIDL");
            BodyPart file = ((Multipart) last.getContent()).getBodyPart(1);
            check(Arrays.equals(file.getInputStream().readAllBytes(), OCTETS), "attachment");
            last.setFlag(Flags.Flag.DELETED, true);
            inbox.close(true);
        }
    }

    public static void main(String[] arguments) throws Exception {
        for (int octet = 0; octet < 256; octet++) OCTETS[octet] = (byte) octet;
        try (Store store = open("imap", false)) {
            folders(store);
            messages((IMAPStore) store);
            idle(store);
        }
        pop3(false);
        pop3(true);
        System.out.println("done");
    }
}
