# A day with Ruby's net/imap: ruby net_imap.rb
require "net/imap"
require "time"

def check(right, what)
  raise what.inspect unless right
end

LETTER = "From: alice@example.test\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n\r\nMöhre\r\n".b

def opened(starttls)
  tls = { ca_file: ENV.fetch("CA_FILE"), verify_mode: OpenSSL::SSL::VERIFY_PEER }
  imap =
    if starttls
      Net::IMAP.new("localhost", port: ENV.fetch("PORT_IMAP")).tap { |clear| clear.starttls(tls) }
    else
      Net::IMAP.new("localhost", port: ENV.fetch("PORT_IMAPS"), ssl: tls)
    end
  imap.authenticate("PLAIN", ENV.fetch("MAIL_USER"), ENV.fetch("MAIL_PASSWORD"))
  imap
end

imap = opened(false)
name = Net::IMAP.encode_utf7("Käse & Brot")
imap.create(name)
imap.subscribe(name)
check(imap.lsub("", "K*").map(&:name) == [name], imap.lsub("", "K*"))
check(imap.list("", "*").map(&:name).include?(name), imap.list("", "*"))
time = Time.at(1_700_000_000)
2.times { |day| imap.append(name, LETTER, [:Seen, "mine"], time + day * 86_400) }
check(imap.status(name, %w[MESSAGES UNSEEN UIDNEXT]) == { "MESSAGES" => 2, "UNSEEN" => 0, "UIDNEXT" => 3 }, name)
imap.select(name)
items = %w[FLAGS INTERNALDATE ENVELOPE BODYSTRUCTURE RFC822.SIZE BODY.PEEK[]]
found = imap.uid_fetch(1, items + ["BODY.PEEK[HEADER.FIELDS (SUBJECT)]"])
check(found.length == 1, found)
message = found.first.attr
check(message["BODY[]"].b == LETTER, message["BODY[]"])
check(message["BODY[HEADER.FIELDS (SUBJECT)]"] == "Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n\r\n", message)
check(message["RFC822.SIZE"] == LETTER.bytesize, message["RFC822.SIZE"])
check((message["FLAGS"] - [:Recent]) == [:Seen, "mine"], message["FLAGS"])
check(Time.parse(message["INTERNALDATE"]) == time, message["INTERNALDATE"])
check(message["ENVELOPE"].from.first.mailbox == "alice", message["ENVELOPE"])
check(message["BODYSTRUCTURE"].media_type == "TEXT", message["BODYSTRUCTURE"])
check(imap.uid_search(["BODY", "MÖHRE".b], "UTF-8") == [1, 2], "search")
check(imap.uid_sort(["REVERSE", "ARRIVAL"], ["ALL"], "UTF-8") == [2, 1], "sort")
check(imap.uid_thread("REFERENCES", ["ALL"], "UTF-8").length == 1, "thread")
imap.uid_store(1, "+FLAGS", [:Deleted])
check(imap.expunge == [1], "expunge")
imap.uid_copy(2, "Archive")
imap.uid_move(2, "Junk")
check(imap.status("Junk", ["MESSAGES"])["MESSAGES"] == 1, "move")

imap.examine("INBOX")
other = opened(true)
news = nil
appending = Thread.new { other.append("INBOX", LETTER) }
imap.idle(30) do |response|
  next unless response.is_a?(Net::IMAP::UntaggedResponse) && response.name == "EXISTS"
  news = response.data
  imap.idle_done
end
appending.join
check(news == 1, news)
[imap, other].each(&:logout)
puts "done"
