<?php
// Installs Question2Answer in the current folder with the threads of standard input; prints the paths of the questions.
$data = json_decode(stream_get_contents(STDIN), true);
$_SERVER['HTTP_HOST'] = $data['host'];
$_SERVER['REQUEST_URI'] = '/index.php';
$_SERVER['SCRIPT_NAME'] = '/index.php';
$_SERVER['REMOTE_ADDR'] = '127.0.0.1';
$_SERVER['REQUEST_METHOD'] = 'GET';
require 'qa-include/qa-base.php';
require_once QA_INCLUDE_DIR . 'app/users-edit.php';
require_once QA_INCLUDE_DIR . 'app/posts.php';
require_once QA_INCLUDE_DIR . 'app/options.php';
qa_set_option('site_title', 'Questions and Answers');
qa_set_option('site_url', 'http://' . $data['host'] . '/');
qa_set_option('site_theme', $data['theme']);
qa_set_option('neat_urls', 0);
foreach (['votes_down_cut_off', 'show_notice_visitor'] as $name) qa_set_option($name, 0);
$users = [];
function user($name) {
    global $users;
    if (!isset($users[$name])) {
        $handle = substr(preg_replace('/[\\@\\+\\/]/', '', $name), 0, 20);
        $users[$name] = qa_create_new_user('u' . count($users) . '@example.org', 'password', $handle);
    }
    return $users[$name];
}
$paths = [];
foreach ($data['threads'] as $thread) {
    $question = null;
    foreach ($thread['posts'] as $i => $post) {
        $type = $i ? 'A' : 'Q';
        $id = qa_post_create($type, $question, $i ? null : $thread['title'], $post['html'], 'html', null, $thread['tags'], user($post['author']));
        $question = $question ?? $id;
        qa_db_query_sub('UPDATE ^posts SET created=$, upvotes=#, netvotes=# WHERE postid=#', $post["date"], max(0, $post["score"]), $post["score"], $id);
        foreach ($post['comments'] as $comment) {
            $said = qa_post_create('C', $id, null, $comment['html'], 'html', null, null, user($comment['author']));
            qa_db_query_sub('UPDATE ^posts SET created=$ WHERE postid=#', $comment['date'], $said);
        }
    }
    $paths[] = 'index.php?qa=' . $question;
}
echo 'IDS ', json_encode($paths);
