<?php
// php request.php METHOD PATH: one request to the application, as a web server would hand it over.

$app = require __DIR__ . '/bootstrap/app.php';
$kernel = $app->make(Illuminate\Contracts\Http\Kernel::class);
$response = $kernel->handle(Illuminate\Http\Request::create($argv[2], $argv[1]));
echo $response->getStatusCode(), ' ', $response->getContent();
