#!/usr/bin/env php
<?php
// Publishes one task edit and waits for its outcome: a whole publisher, to run or to take apart.
// Needs php-amqplib and nothing of this project; the worker checks the edit.
declare(strict_types=1);

use PhpAmqpLib\Channel\AMQPChannel;
use PhpAmqpLib\Connection\AMQPStreamConnection;
use PhpAmqpLib\Exception\AMQPExceptionInterface;
use PhpAmqpLib\Exception\AMQPProtocolChannelException;
use PhpAmqpLib\Exception\AMQPTimeoutException;
use PhpAmqpLib\Message\AMQPMessage;

const APPLIED = 0;
const REJECTED = 1;
const MISUSED = 2;
const ABSENT = 69;
const LATE = 75;
const USAGE = 'publish-edit.php [--by events|reply] [--timeout SECONDS] [--message-id ID] FILE';

// Composer's, here or of the project around; or where Debian's package php-amqplib has it.
$autoloads = [__DIR__ . '/vendor/autoload.php', '/usr/share/php/PhpAmqpLib/autoload.php'];
require current(array_filter($autoloads, 'file_exists')) ?: $autoloads[0];

/** Ends with an exit code; the message is for people. */
final class Ended extends Exception
{
}

function setting(string $name, string $otherwise): string
{
    $value = getenv($name);
    return $value === false ? $otherwise : $value;
}

/** The seconds that are left until a moment of `hrtime`; Ended when there are none. */
function left(float $end): float
{
    $left = $end - hrtime(true) / 1e9;
    if ($left <= 0) {
        throw new Ended('No outcome in time.', LATE);
    }
    return $left;
}

/** A connection to the first server that answers. */
function connected(float $end): AMQPStreamConnection
{
    $failure = null;
    foreach (explode(',', setting('TASKEDIT_AMQP_URL', 'amqp://guest:guest@localhost:5672/%2F')) as $url) {
        $parts = parse_url($url);
        $seconds = min(10.0, left($end)); // for connecting, and for each answer until then
        try {
            return new AMQPStreamConnection(
                $parts['host'],
                $parts['port'] ?? 5672,
                rawurldecode($parts['user'] ?? 'guest'),
                rawurldecode($parts['pass'] ?? 'guest'),
                rawurldecode(substr($parts['path'] ?? '/%2F', 1)),
                connection_timeout: $seconds,
                read_write_timeout: $seconds,
                channel_rpc_timeout: $seconds,
            );
        } catch (AMQPExceptionInterface $error) {
            $failure = $error;
        }
    }
    throw $failure;
}

/** Publishes the edit; its event, by reply_to or from the events' exchange. */
function outcome(
    AMQPChannel $channel,
    float $end,
    string $body,
    string $appId,
    string $messageId,
    bool $byReply
): string {
    $namespace = setting('TASKEDIT_NAMESPACE', 'task-edit');
    $event = null;
    $channel->confirm_select();
    // First the ear, then the word: an event that nobody waits for yet is gone.
    [$queue] = $channel->queue_declare('', false, false, true, true);
    // As the appId is written here, so a misspelt one is heard of, too; _ for what cannot be read.
    $word = preg_match('/^[A-Za-z0-9_-]{1,100}$/D', $appId) ? $appId : '_';
    foreach ($byReply ? [] : [$word, '_'] as $each) {
        $channel->queue_bind($queue, "$namespace.events", "*.$each");
    }
    $channel->basic_consume($queue, '', false, true, true, false, function (AMQPMessage $heard) use (&$event, $messageId) {
        if (json_decode($heard->getBody())->data->messageId === $messageId) {
            $event ??= $heard->getBody();
        }
    });
    $refused = $returned = false;
    $channel->set_nack_handler(function () use (&$refused) {
        $refused = true;
    });
    $channel->set_return_listener(function () use (&$returned) {
        $returned = true;
    });
    $properties = [
        'content_type' => 'application/json',
        'delivery_mode' => AMQPMessage::DELIVERY_MODE_PERSISTENT,
        'message_id' => $messageId,
        'timestamp' => time(),
    ];
    if ($byReply) {
        $properties['reply_to'] = $queue;
    }
    // The body as it is: what is written anew may have rounded a job id.
    $channel->basic_publish(new AMQPMessage($body, $properties), $namespace, $appId, true);
    $channel->wait_for_pending_acks_returns(left($end));
    if ($refused) {
        throw new Ended('RabbitMQ refused it, for a queue is full.', LATE);
    }
    if ($returned) {
        throw new Ended("Not routed: is the worker's topology there?", ABSENT);
    }
    while ($event === null) {
        $channel->wait(null, false, left($end));
    }
    return $event;
}

/** The options and the file that the command line names. */
function wishes(array $arguments): array
{
    $wishes = ['--by' => 'events', '--timeout' => '60', '--message-id' => bin2hex(random_bytes(16))];
    $files = [];
    while (($each = array_shift($arguments)) !== null) {
        if (array_key_exists($each, $wishes)) {
            $wishes[$each] = (string) array_shift($arguments);
        } else {
            $files[] = $each;
        }
    }
    if (count($files) !== 1 || !in_array($wishes['--by'], ['events', 'reply'], true) || (float) $wishes['--timeout'] <= 0) {
        throw new Ended(USAGE, MISUSED);
    }
    $body = @file_get_contents($files[0] === '-' ? 'php://stdin' : $files[0]);
    if ($body === false) {
        throw new Ended("$files[0] cannot be read", MISUSED);
    }
    return [$wishes['--by'] === 'reply', (float) $wishes['--timeout'], $wishes['--message-id'], $body];
}

function main(array $arguments): int
{
    [$byReply, $timeout, $messageId, $body] = wishes($arguments);
    $edit = json_decode($body);
    if (!is_string($edit->appId ?? null) || $edit->appId === '') {
        throw new Ended('Not sent: appId is required, as the routing key', REJECTED);
    }
    $end = hrtime(true) / 1e9 + $timeout;
    try {
        $connection = connected($end);
        $event = outcome($connection->channel(), $end, $body, $edit->appId, $messageId, $byReply);
        $connection->close();
    } catch (Ended $known) {
        [$code, $said] = [$known->getCode(), $known->getMessage()];
    } catch (AMQPTimeoutException) {
        [$code, $said] = [LATE, 'No outcome in time.'];
    } catch (AMQPProtocolChannelException $error) {
        [$code, $said] = [ABSENT, "Not routed: is the worker's topology there? {$error->getMessage()}."];
    } catch (AMQPExceptionInterface $error) {
        [$code, $said] = [ABSENT, "RabbitMQ: {$error->getMessage()}."];
    }
    if (isset($said)) {
        throw new Ended("$said Safe to repeat: --message-id $messageId", $code);
    }
    echo $event, "\n";
    return json_decode($event)->data->outcome === 'rejected' ? REJECTED : APPLIED;
}

try {
    exit(main(array_slice($argv, 1)));
} catch (Ended $ended) {
    fwrite(STDERR, $ended->getMessage() . "\n");
    exit($ended->getCode());
}
