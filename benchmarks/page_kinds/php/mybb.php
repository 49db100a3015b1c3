<?php
// Writes the threads of standard input to the database of a fresh MyBB; prints the paths of the threads.
$data = json_decode(stream_get_contents(STDIN), true);
$db = new mysqli('127.0.0.1', 'pk', 'pk', $data['database'], 33306);
$db->set_charset('utf8mb4');
$db->query("SET sql_mode=''");
$users = [];
function user($name) {
    global $users, $db;
    if (!isset($users[$name])) {
        $n = count($users);
        $db->query("INSERT INTO mybb_users SET usergroup=2, username='" . $db->real_escape_string($name) . "', email='u$n@example.org', regdate=1318000000, postnum=" . (3 + 7 * $n) . ", threadnum=$n, showavatars=1, showsigs=1, classicpostbit=" . ($data['classic'] ?? 0));
        $users[$name] = $db->insert_id;
    }
    return $users[$name];
}
$paths = [];
foreach ($data['threads'] as $thread) {
    $title = $db->real_escape_string($thread['title']);
    $n = count($thread['posts']) - 1;
    $first = $thread['posts'][0];
    $db->query("INSERT INTO mybb_threads SET fid=2, subject='$title', uid=" . user($first['author']) . ", username='" . $db->real_escape_string($first['author']) . "', dateline=" . strtotime($first['date']) . ", replies=$n, views=" . (60 + 17 * $n) . ", visible=1, notes=''");
    $topic = $db->insert_id;
    foreach ($thread['posts'] as $i => $post) {
        $name = $db->real_escape_string($post['author']);
        $subject = $i ? "RE: $title" : $title;
        $db->query("INSERT INTO mybb_posts SET tid=$topic, fid=2, subject='$subject', uid=" . user($post['author']) . ", username='$name', dateline=" . strtotime($post['date']) . ", message='" . $db->real_escape_string($post['bbcode']) . "', visible=1, ipaddress=''");
        if (!$i) $db->query("UPDATE mybb_threads SET firstpost=" . $db->insert_id . " WHERE tid=$topic");
    }
    $db->query("UPDATE mybb_threads SET lastpost=" . strtotime($post['date']) . ", lastposter='$name', lastposteruid=" . user($post['author']) . " WHERE tid=$topic");
    $paths[] = "showthread.php?tid=$topic";
}
$db->query("UPDATE mybb_settings SET value='" . $data['layout'] . "' WHERE name='postlayout'");
echo 'IDS ', json_encode($paths);
