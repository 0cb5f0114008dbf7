SELECT c.status
  FROM (SELECT nextval('bench_next') AS n) s,
       LATERAL fenceline.commit_transcript(s.n, 'bench' || s.n, 1, 0, '00000000000000000000000000000000', '{0,0,0}', '\x00',
           'srt', '[]', :starts, :ends, :speakers, :bodies) c;
