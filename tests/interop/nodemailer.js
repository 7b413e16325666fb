// Sends an HTML message with an attachment: node nodemailer.js PORT SECURE TO SUBJECT
const nodemailer = require('nodemailer');

const [port, secure, to, subject] = process.argv.slice(2);
const transporter = nodemailer.createTransport({
  host: process.env.MAIL_HOST,
  port: Number(port),
  secure: secure === 'true',
  requireTLS: secure !== 'true',
  auth: { user: process.env.MAIL_USER, pass: process.env.MAIL_PASSWORD },
});

transporter
  .sendMail({
    from: `"Алиса" <${process.env.MAIL_USER}>`,
    to,
    subject,
    text: 'Привет, мир',
    html: '<b>Привет, мир</b>',
    attachments: [{ filename: 'all.bin', content: Buffer.from([...Array(256).keys()]) }],
  })
  .then((info) => console.log(info.response))
  .catch((error) => {
    console.error(error.message);
    process.exit(1);
  });
