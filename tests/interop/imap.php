<?php
// A day with PHP's imap functions (the UW c-client): php imap.php

function check($right, $what)
{
    if (!$right) {
        fwrite(STDERR, var_export($what, true) . "\n" . var_export(imap_errors(), true));
        exit(1);
    }
}

$letter = "From: alice@example.test\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n\r\nM\u{f6}hre\r\n";
// c-client knows only the system's authorities, and behind STARTTLS nothing newer than TLS 1.0.
$server = '{localhost:' . getenv('PORT_IMAPS') . '/imap/ssl/novalidate-cert}';
$imap = imap_open($server . 'INBOX', getenv('MAIL_USER'), getenv('MAIL_PASSWORD'), 0, 1);
check($imap, 'open');
$name = $server . 'K&AOQ-se &- Brot';
check(imap_createmailbox($imap, $name), 'create');
check(in_array($name, imap_list($imap, $server, '*')), imap_list($imap, $server, '*'));
check(imap_append($imap, $name, $letter, '\\Seen', '14-Nov-2023 22:13:20 +0000'), 'append');
check(imap_append($imap, $name, $letter), 'append');
check(imap_reopen($imap, $name), 'reopen');
$status = imap_status($imap, $name, SA_ALL);
check($status->messages === 2 && $status->unseen === 1 && $status->uidnext === 3, $status);
check(imap_fetchheader($imap, 1) . imap_body($imap, 1, FT_PEEK) === $letter, 'fetch');
$seen = imap_fetch_overview($imap, '1:2', 0);
check($seen[0]->udate === 1700000000 && $seen[0]->seen === 1 && $seen[1]->seen === 0, $seen);
check(imap_fetchstructure($imap, 1)->subtype === 'PLAIN', imap_fetchstructure($imap, 1));
check(imap_search($imap, 'UNSEEN BODY "möhre"', SE_UID, 'UTF-8') === [2], 'search');
check(imap_sort($imap, SORTARRIVAL, true, SE_UID)[1] === 1, 'sort');
check(imap_thread($imap)['2.num'] === 2, imap_thread($imap));
check(imap_setflag_full($imap, '2', '\\Flagged'), 'flag');
check(imap_search($imap, 'FLAGGED') === [2], 'flagged');
check(imap_mail_copy($imap, '1', 'Archive'), 'copy');
check(imap_mail_move($imap, '2', 'Junk') && imap_expunge($imap), 'move');
check(imap_num_msg($imap) === 1, imap_num_msg($imap));
imap_get_quotaroot($imap, 'INBOX');
check(imap_reopen($imap, $server . 'INBOX') && imap_deletemailbox($imap, $name), 'delete');
check(imap_errors() === false, 'errors');
imap_close($imap);
echo "done\n";
