<?php
// Installs WordPress in the current folder with the theme and posts of standard input; prints the posts' ids as JSON.
$data = json_decode(stream_get_contents(STDIN), true);
$_SERVER['HTTP_HOST'] = $data['host'];
define('WP_INSTALLING', true);
require 'wp-load.php';
require_once ABSPATH . 'wp-admin/includes/upgrade.php';
wp_install('Field Notes', 'editor', 'editor@example.org', true, '', 'password', $data['language']);
update_option('siteurl', 'http://' . $data['host']);
update_option('home', 'http://' . $data['host']);
update_option('WPLANG', $data['language']);
switch_theme($data['theme']);
$ids = [];
foreach ($data['posts'] as $post) {
    $id = wp_insert_post([
        'post_title' => $post['title'], 'post_content' => $post['html'], 'post_status' => 'publish', 'post_author' => 1,
        'post_date' => $post['date'], 'tags_input' => $post['tags'],
    ]);
    $ids[] = $id;
    foreach ($post['comments'] as $comment) {
        $parent = wp_insert_comment([
            'comment_post_ID' => $id, 'comment_author' => $comment['author'], 'comment_date' => $comment['date'],
            'comment_content' => $comment['html'], 'comment_approved' => 1,
        ]);
        foreach ($comment['replies'] as $reply) {
            wp_insert_comment([
                'comment_post_ID' => $id, 'comment_author' => $reply['author'], 'comment_date' => $reply['date'],
                'comment_content' => $reply['html'], 'comment_approved' => 1, 'comment_parent' => $parent,
            ]);
        }
    }
}
echo 'IDS ', json_encode($ids);
