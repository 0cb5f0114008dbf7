SELECT c.status
  FROM (SELECT nextval('bench_next') AS n) s,
       LATERAL fenceline.commit_chapters(s.n, 'bench' || s.n, 1, 0, '00000000000000000000000000000000', '{0,0,0}', '\x00',
           'chapters-json', '[]', :starts, :ends, :titles, :urls, array_fill(NULL::text, ARRAY[20]),
           array_fill(true, ARRAY[20]), array_fill(NULL::text, ARRAY[20])) c;
