\set n :n + 1
SELECT fenceline.enqueue('late' || :n::integer, 'chapters',
                         source => 'chapters/chap' || (:n::integer % :files::integer + 1) || '.json');
