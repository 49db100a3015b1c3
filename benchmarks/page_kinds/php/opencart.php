<?php
// Replaces OpenCart's demonstration products by those of standard input; prints the paths of their pages.
$data = json_decode(stream_get_contents(STDIN), true);
$db = new mysqli('127.0.0.1', 'pk', 'pk', $data['database'], 33306);
$db->set_charset('utf8mb4');
foreach (['product_attribute', 'product_option', 'product_option_value', 'product_discount', 'product_related', 'attribute', 'attribute_description'] as $table) {
    $db->query("DELETE FROM oc_$table");
}
$say = fn($text) => $db->real_escape_string(htmlspecialchars($text, ENT_QUOTES));
foreach ($data['attributes'] as $i => $name) {
    $db->query("INSERT INTO oc_attribute SET attribute_id=" . ($i + 1) . ", attribute_group_id=4, sort_order=$i");
    $db->query("INSERT INTO oc_attribute_description SET attribute_id=" . ($i + 1) . ", language_id=1, name='" . $say($name) . "'");
}
$ids = array_column($db->query('SELECT product_id FROM oc_product_description WHERE language_id=1 ORDER BY product_id')->fetch_all(MYSQLI_ASSOC), 'product_id');
$paths = [];
foreach ($data['products'] as $i => $product) {
    $id = $ids[$i];
    $db->query("UPDATE oc_product SET model='" . $say($product['model']) . "', master_id=0, manufacturer_id=0, variant='', override='', price=" . $product['price'] . ", image='', date_available='2020-01-01', status=1 WHERE product_id=$id");
    $db->query("UPDATE oc_product_description SET name='" . $say($product['name']) . "', meta_title='" . $say($product['name']) . "', description='" . $say($product['html']) . "' WHERE product_id=$id");
    foreach ($product['values'] as $j => $value) {
        if ($value !== '') $db->query("INSERT INTO oc_product_attribute SET product_id=$id, language_id=1, attribute_id=" . ($j + 1) . ", text='" . $say($value) . "'");
    }
    foreach ([1, 2, 3, 4] as $step) {
        $db->query("INSERT INTO oc_product_related SET product_id=$id, related_id=" . $ids[($i + $step) % count($data['products'])]);
    }
    $paths[] = "index.php?route=product/product&language=en-gb&product_id=$id";
}
$db->query('DELETE FROM oc_product WHERE product_id NOT IN (' . implode(',', array_slice($ids, 0, count($data['products']))) . ')');
$db->query("DELETE FROM oc_setting WHERE `key`='config_cookie_id'");
$db->query("INSERT INTO oc_setting SET store_id=0, code='config', `key`='config_cookie_id', value='3', serialized=0");  // a cookie notice
echo 'IDS ', json_encode($paths);
