# perl imapclient.pl FROM TO: copies an account to another with Mail::IMAPClient, as imapsync and its like do.
# FROM and TO are PORT,USER,PASSWORD,CA of servers on localhost.
use strict;
use warnings;
use Mail::IMAPClient;

sub opened {
    my ($port, $user, $password, $ca) = split /,/, shift;
    return Mail::IMAPClient->new(
        Server => 'localhost', Port => $port, User => $user, Password => $password, Uid => 1, Peek => 1,
        Ssl => [SSL_ca_file => $ca, SSL_verify_mode => 1, SSL_hostname => 'localhost'],
    ) || die "login: $@";
}

my ($from, $to) = map { opened($_) } @ARGV;
for my $folder ($from->folders) {
    $to->exists($folder) || $to->create($folder) || die "create $folder: ", $to->LastError;
    $to->subscribe($folder) || die "subscribe $folder: ", $to->LastError;
    $from->examine($folder) || die "examine $folder: ", $from->LastError;
    my @messages = $from->messages;
    my $known = @messages ? $from->fetch_hash(\@messages, 'FLAGS', 'INTERNALDATE', 'RFC822.SIZE') : {};
    for my $uid (sort { $a <=> $b } @messages) {
        my $is = $known->{$uid};
        my $flags = join ' ', grep { lc ne '\recent' } split ' ', $is->{FLAGS};
        my $text = $from->message_string($uid);
        length $text == $is->{'RFC822.SIZE'} || die "$folder $uid: ", length $text, " octets";
        $to->append_string($folder, $text, $flags, $is->{INTERNALDATE})
            || die "append to $folder: ", $to->LastError;
    }
    $to->select($folder) || die "select $folder: ", $to->LastError;
    # What is flagged must be found.
    my @deleted = $to->search('DELETED');
    print "$folder ", scalar @messages, " ", scalar @deleted, "\n";
}
$_->logout || die $_->LastError for $from, $to;
