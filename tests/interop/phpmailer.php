<?php
// Sends an HTML message with an attachment: php phpmailer.php PORT tls|ssl TO SUBJECT
require '/usr/share/php/libphp-phpmailer/autoload.php';

use PHPMailer\PHPMailer\PHPMailer;

[, $port, $security, $to, $subject] = $argv;
$mail = new PHPMailer(true);
$mail->isSMTP();
$mail->Host = getenv('MAIL_HOST');
$mail->Port = (int) $port;
$mail->SMTPSecure = $security === 'ssl' ? PHPMailer::ENCRYPTION_SMTPS : PHPMailer::ENCRYPTION_STARTTLS;
$mail->SMTPAuth = true;
$mail->Username = getenv('MAIL_USER');
$mail->Password = getenv('MAIL_PASSWORD');
$mail->SMTPOptions = ['ssl' => ['cafile' => getenv('CA_FILE')]];
$mail->CharSet = 'UTF-8';
$mail->setFrom(getenv('MAIL_USER'), 'Алиса');
$mail->addAddress($to);
$mail->Subject = $subject;
$mail->isHTML(true);
$mail->Body = '<b>Привет, мир</b>';
$mail->AltBody = 'Привет, мир';
$mail->addStringAttachment(implode('', array_map('chr', range(0, 255))), 'all.bin');
$mail->send();
echo 'sent';
