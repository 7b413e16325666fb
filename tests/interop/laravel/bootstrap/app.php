<?php
// The least that makes Debian's php-laravel-framework an application: no database, no sessions, no cache.

require_once 'Illuminate/autoload.php';

spl_autoload_register(function (string $class): void {
    if (str_starts_with($class, 'App\\')) {
        require dirname(__DIR__) . '/app/' . str_replace('\\', '/', substr($class, 4)) . '.php';
    }
});

class ConsoleKernel extends Illuminate\Foundation\Console\Kernel
{
    protected function commands(): void
    {
        require base_path('routes/console.php');
    }
}

class ReportingHandler extends Illuminate\Foundation\Exceptions\Handler
{
    public function report(Throwable $e): void
    {
        // What fails is printed; nothing is logged.
    }
}

$app = new Illuminate\Foundation\Application(dirname(__DIR__));
$app->singleton(Illuminate\Contracts\Console\Kernel::class, ConsoleKernel::class);
$app->singleton(Illuminate\Contracts\Http\Kernel::class, Illuminate\Foundation\Http\Kernel::class);
$app->singleton(Illuminate\Contracts\Debug\ExceptionHandler::class, ReportingHandler::class);
$app->booted(fn () => require base_path('routes/web.php'));

return $app;
